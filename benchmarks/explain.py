"""Cost of an explanation, and of the score of unknown imagery, in predictions.

    python -m benchmarks explain [--rounds 9] [--steps 16]

The default network answers images of the default size, a batch of eight or one alone; figures are
processor time.
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
from serving.contract.contract import Contract
from serving.contract.explanations import Explanations
from serving.contract.names import BYTES_INPUT, BYTES_SIGNATURE, EXPLAIN_SIGNATURE
from serving.server.model import Arrays, LoadedModel, load_model
from trainer.models.config import SmallCnn
from trainer.tasks.network import build_network
from trainer.tasks.single_label import SingleLabel
from trainer.training.export import export
from trainer.training.reliability import fit_unknown

_ROWS = 8
#: Calls of a side in a turn, and rounds of the score for each round of an explanation: the cost of
#: the score is small compared with a machine's variation.
_CALLS, _SCORE_ROUNDS = 10, 6
_CLASSES = ("sea", "forest", "crop")


def main() -> None:
    """Prints the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=16)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, machine_load():
        plain, telling, images = _models(Path(folder), options.steps)
        batch, alone = (explain_inputs(images[:rows], "") for rows in (_ROWS, 1))
        asked = {_ROWS: batch, 1: alone}
        explained = {
            rows: take_turns(
                {
                    "predict": _several(plain, BYTES_SIGNATURE, _bytes(images)),
                    "explain": _several(telling, EXPLAIN_SIGNATURE, images, calls=1),
                },
                options.rounds,
            )
            for rows, images in asked.items()
        }
        scores = {
            rows: take_turns(
                {
                    "predict": _several(plain, BYTES_SIGNATURE, _bytes(images)),
                    "score": _several(telling, BYTES_SIGNATURE, _bytes(images)),
                },
                options.rounds * _SCORE_ROUNDS,
                collect=False,
            )
            for rows, images in asked.items()
        }
    print(f"a step of an explanation of {options.steps}, in predictions (aim: at most 1.5):")
    for rows, found in explained.items():
        ratio = found.ratio("explain", "predict", "cpu", _CALLS / options.steps)
        print(f"  batches of {rows}: {ratio}")
    print("a prediction with the score of unknown imagery, in those without (aim: at most 1.05):")
    for rows, found in scores.items():
        print(f"  batches of {rows}: {found.ratio('score', 'predict', 'cpu')}")


def _several(
    model: LoadedModel, signature: str, asked: Arrays, calls: int = _CALLS
) -> Callable[[], None]:
    """Returns a side of several calls of a model, which it also calls once beforehand."""

    def runs() -> None:
        for _ in range(calls):
            model.run(signature, asked)

    model.run(signature, asked)
    return runs


def _bytes(asked: Arrays) -> Arrays:
    return {BYTES_INPUT: asked[BYTES_INPUT]}


def _models(folder: Path, steps: int) -> tuple[LoadedModel, LoadedModel, list[bytes]]:
    """Returns a model that only predicts, the same with explanations and the score, and images."""
    keras.utils.set_random_seed(0)
    image = ImageSpec()
    network = build_network(SmallCnn(), image, SingleLabel(_CLASSES))
    random = np.random.default_rng(0)
    embedded = network.embedded()
    pixels = random.integers(0, 256, (256, *image.shape)).astype(np.uint8)
    embedding = np.asarray(embedded(pixels, training=False)[1]["embedding"])
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
    return plain, other, [_png(each) for each in pixels[:_ROWS]]


def _png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()
