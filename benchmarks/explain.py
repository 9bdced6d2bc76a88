"""Cost of an explanation, and of the score of unknown imagery, in predictions.

    python -m benchmarks.explain [--rounds 9] [--steps 16]

A small CNN answers batches of eight images of 64 px; figures are processor time.
"""

import argparse
import io
import tempfile
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
from PIL import Image

from benchmarks.sides import machine_load, take_turns
from components.raster.image import ImageSpec
from serving.client.explanation import explain_inputs
from serving.client.wire_tensors import Array
from serving.contract.contract import Contract
from serving.contract.explanations import Explanations
from serving.contract.names import BYTES_INPUT, BYTES_SIGNATURE, EXPLAIN_SIGNATURE
from serving.server.model import load_model
from trainer.models.config import SmallCnn
from trainer.tasks.network import build_network
from trainer.tasks.single_label import SingleLabel
from trainer.training.export import export
from trainer.training.reliability import fit_unknown

_SIDE_PX, _ROWS, _CALLS = 64, 8, 10
_CLASSES = ("sea", "forest", "crop")


def main() -> None:
    """Prints the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=16)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, machine_load():
        sides = _sides(Path(folder), options.steps)
        for run in sides.values():
            run()
        rounds = take_turns(sides, options.rounds)
    print(f"an explanation of {options.steps} steps, in predictions:")
    print(f"  {rounds.ratio('explain', 'predict', 'cpu')}")
    print("of each step:")
    print(f"  {rounds.ratio('explain', 'predict', 'cpu', 1 / options.steps)}")
    print("a prediction with the score of unknown imagery:")
    print(f"  {rounds.ratio('score', 'predict', 'cpu')}")


def _sides(folder: Path, steps: int) -> dict[str, Callable[[], None]]:
    keras.utils.set_random_seed(0)
    image = ImageSpec(height_px=_SIDE_PX, width_px=_SIDE_PX)
    network = build_network(SmallCnn(), image, SingleLabel(_CLASSES))
    random = np.random.default_rng(0)
    embedded = network.embedded()
    pixels = random.integers(0, 256, (256, *image.shape)).astype(np.uint8)
    embedding = np.asarray(embedded(pixels, training=False)[1])
    unknown = fit_unknown(embedding, random.integers(0, len(_CLASSES), 256), embedding)
    contract = Contract(image=image, classes=_CLASSES)
    export(network.served(), contract, str(folder / "plain"))
    telling = contract.model_copy(
        update={"explanations": Explanations(steps=steps), "unknown": "by_class"}
    )
    export(
        *(network.served(), telling, str(folder / "telling")),
        *(network.explainable(), embedded, unknown),
    )
    plain, other = (load_model(1, folder / name) for name in ("plain", "telling"))
    images = [_png(each) for each in pixels[:_ROWS]]
    asked = explain_inputs(images, "")
    alone: dict[str, Array] = {BYTES_INPUT: asked[BYTES_INPUT]}

    def several(run: Callable[[], object]) -> Callable[[], None]:
        def runs() -> None:
            for _ in range(_CALLS):
                run()

        return runs

    return {
        "predict": several(lambda: plain.run(BYTES_SIGNATURE, alone)),
        "score": several(lambda: other.run(BYTES_SIGNATURE, alone)),
        "explain": several(lambda: other.run(EXPLAIN_SIGNATURE, asked)),
    }


def _png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


if __name__ == "__main__":
    main()
