"""Comparison of networks: size, speed on this machine's CPUs, accuracy on EuroSAT.

    python -m benchmarks zoo [--data FOLDER] [--no-accuracy]

Accuracy is that of `skymill run` on the test split, with its 95 % interval and the processor time
of the whole run: with each `examples/eurosat_*.yaml` of photographs, and with the recipe from
scratch for other networks without weights. Larger networks are too slow to train here, and training
them from scratch would not reflect their use: for those only size and speed are shown, with random
weights, which need the same computation. Size and speed are those of the SavedModel. Speed is
measured through its signature for encoded images and includes decoding: one image at a time, and 32
together; the fastest of many calls counts.
"""

import argparse
import io
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("SKYMILL_SHARED_DATA") or ROOT.parent / "shared" / "data")
SCRATCH = "eurosat_from_scratch"
RECIPES = (SCRATCH, "eurosat_mobilenet")
#: Trained with the recipe from scratch, at its size: constructors of keras.applications.
OTHERS = {"MobileNet": {"alpha": 0.5}}
SIDE_PX = 128
#: Measured without training: ten classes and random weights.
NETWORKS = ("MobileNetV3Small", "MobileNetV2", "EfficientNetV2B0", "ResNet50")
LEAST_ROUNDS, LEAST_S = 5, 3.0


class Row(NamedTuple):
    """Row of the table: one network."""

    name: str
    parameters: int
    megabytes: float
    one_ms: float
    images_s: float
    accuracy: str


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=DATA, help="has eurosat_rgb and models")
    parser.add_argument("--no-accuracy", action="store_true", help="networks without recipes only")
    options = parser.parse_args()
    head = f"{'network':38}{'parameters':>12}{'MB':>7}{'ms, one':>9}{'images/s':>10}"
    print(f"{head}  accuracy, CPU minutes")
    with tempfile.TemporaryDirectory() as folder:
        for row in _rows(options, Path(folder)):
            print(
                f"{row.name:38}{row.parameters:12,}{row.megabytes:7.1f}{row.one_ms:9.1f}"
                f"{row.images_s:10.0f}  {row.accuracy}",
                flush=True,
            )


def _rows(options: argparse.Namespace, folder: Path) -> Iterator[Row]:
    if not options.no_accuracy and (options.data / "eurosat_rgb").is_dir():
        for recipe in RECIPES:
            yield _trained(recipe, _tree(recipe, options.data), folder / recipe)
        for name, arguments in OTHERS.items():
            tree = _without_weights(_tree(SCRATCH, options.data), name, arguments)
            alpha = f" {arguments['alpha']}" if "alpha" in arguments else ""
            yield _trained(f"{name}{alpha} from scratch", tree, folder / f"{name}-from-scratch")
    for name in NETWORKS:
        (folder / name).mkdir()
        yield _untrained(name, folder / name)


def _tree(recipe: str, data: Path) -> dict[str, Any]:
    """Returns an example's configuration with its data paths resolved."""
    text = (ROOT / "examples" / f"{recipe}.yaml").read_text()
    tree: dict[str, Any] = yaml.safe_load(text.replace("../../shared/data", str(data.resolve())))
    return tree


def _without_weights(tree: dict[str, Any], name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Replaces the network by one without weights and removes the gate on its accuracy."""
    own = tree["train"]["model"]
    model: dict[str, Any] = {
        "kind": "backbone",
        "name": name,
        "arguments": arguments,
        "weights": None,
    }
    model |= {"trainable": "all", "dropout": 0.2, "augment": own.get("augment", True)}
    gates = {**tree["evaluation"], "thresholds": [{"metric": "accuracy", "at_least": 0}]}
    return {**tree, "train": {**tree["train"], "model": model}, "evaluation": gates}


def _trained(name: str, tree: dict[str, Any], folder: Path) -> Row:
    """Runs a configuration in a folder of its own and returns its row."""
    folder.mkdir()
    (folder / "skymill.yaml").write_text(yaml.safe_dump(tree))
    before = _seconds_of_children()
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.cli", "run", str(folder / "skymill.yaml"), "--json"],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        check=True,
    )
    minutes = (_seconds_of_children() - before) / 60
    summary: Any = json.loads(done.stdout)
    [overall] = [each for each in summary["metrics"]["slices"] if each["slice"] == "overall"]
    low, high = overall["accuracy_interval"]
    accuracy = f"{overall['candidate']['accuracy']:.3f} ({low:.2f} to {high:.2f}), {minutes:.1f}"
    spec = tree["ingest"]["image"]
    model = Path(summary["places"]["model"]) / "Format-Serving"
    return _measured(f"{name}, {spec['height_px']} px", model, spec["height_px"], accuracy)


def _untrained(name: str, folder: Path) -> Row:
    from components.raster.image import ImageSpec
    from trainer.models.config import Backbone
    from trainer.tasks.network import build_network
    from trainer.tasks.single_label import SingleLabel
    from trainer.training.export import export

    image = ImageSpec(height_px=SIDE_PX, width_px=SIDE_PX)
    objective = SingleLabel(tuple(f"class {index}" for index in range(10)))
    network = build_network(Backbone(name=name, weights=None), image, objective)
    export(network.served(), objective.contract(image), str(folder))
    return _measured(f"{name}, {SIDE_PX} px", folder, SIDE_PX, "-")


def _seconds_of_children() -> float:
    """Returns the processor time of ended child processes; a clock would include other load."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _measured(name: str, model: Path, side_px: int, accuracy: str) -> Row:
    import tensorflow as tf

    loaded = tf.saved_model.load(str(model))
    ask = loaded.signatures["serving_default"]
    parameters = sum(int(np.prod(variable.shape)) for variable in ask.variables)
    size = sum(path.stat().st_size for path in model.rglob("*") if path.is_file())
    images = tf.constant([_jpeg(side_px, seed) for seed in range(32)])
    one = _fastest(lambda: ask(image_bytes=images[:1]))
    many = _fastest(lambda: ask(image_bytes=images))
    return Row(name, parameters, size / 1e6, one * 1e3, len(images) / many, accuracy)


def _fastest(call: Callable[[], Any]) -> float:
    """Returns the seconds of the fastest of many calls, since other load only slows a call."""
    call()
    seconds: list[float] = []
    while len(seconds) < LEAST_ROUNDS or sum(seconds) < LEAST_S:
        began = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def _jpeg(side_px: int, seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (side_px // 8, side_px // 8, 3))
    data = io.BytesIO()
    picture = Image.fromarray(pixels.astype(np.uint8)).resize((side_px, side_px))
    picture.save(data, "JPEG", quality=90)
    return data.getvalue()
