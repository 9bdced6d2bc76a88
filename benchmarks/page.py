"""The page of a run: its share of the demo's run, and its cost in a bad case.

The share is that of the node RunPage, and of the page that the end of the run draws again for all
gates, in the wall-clock time of a whole run of `skymill demo`; with --explain, the model explains
its worst mistakes. The picture of the learning curve, which the end of the run draws too, is a
separate file and does not count.

The bad case has many classes, every second answer wrong, and large images: a split of 20 classes
and examples of 512 x 512 pixels with places. Everything that RunPage does with them is timed:
reading the predictions, choosing and drawing examples, the charts, and the page itself.

    python -m benchmarks page [--examples 3000] [--rounds 5] [--runs 1] [--explain]
"""

import argparse
import io
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import tensorflow as tf
from PIL import Image

from benchmarks.sides import machine_load, take_turns
from components.evaluation.predictions import Head, PredictionRow, write_predictions
from components.node.files import PREDICTIONS_FILE, split_folder
from components.raster.example import ENCODED, KEY
from components.raster.image import ImageSpec
from pipelines.config.tree import load_config
from pipelines.definition.workspace import Workspace
from pipelines.demo.collection import Collection, make_collection
from pipelines.local.execute import execute
from pipelines.local.summary import summarise
from pipelines.page.content import PAGE_FILE, Content, read_curve, read_geojson
from pipelines.page.curves import write_curve_png
from pipelines.page.gather import Sources, gather
from pipelines.page.render import run_page
from pipelines.starter.propose import propose_source, starter_config
from serving.contract.contract import CONTRACT_PATH, Contract

CLASSES = tuple(f"class {number}" for number in range(20))
_SIDE_PX, _IMAGES = 512, 40
_MOST_BYTES, _MOST_PERCENT = 5_000_000, 5


def main() -> None:
    """Prints the share of a run, and the seconds and the size of the page in the bad case."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--examples", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--explain", action="store_true", help="train the demo to explain itself")
    options = parser.parse_args()
    with machine_load():
        costs = [_demo(options.explain) for _ in range(options.runs)]
    page, run = (median(it) for it in zip(*costs, strict=True))
    share = 100 * median(page / run for page, run in costs)
    print(f"page of the demo's run: {page:.1f} s of {run:.1f} s, {share:.1f} % ", end="")
    print(f"(aim: at most {_MOST_PERCENT} %)")
    with tempfile.TemporaryDirectory() as folder, machine_load():
        sources = _write(Path(folder), options.examples)
        draw = partial(_page, sources, folder)
        draw()
        rounds = take_turns({"page": draw}, options.rounds)
        wall, cpu = rounds.typical("page")
        size = Path(folder, PAGE_FILE).stat().st_size
    print(f"page of {options.examples:,} examples: {wall:.1f} s, processors {cpu:.1f} s")
    print(f"its size: {size / 1e6:.1f} MB (aim: at most {_MOST_BYTES / 1e6:.0f} MB)")


def _demo(explain: bool) -> tuple[float, float]:
    """Returns the seconds of the page in a run of the demo, and those of the run."""
    with tempfile.TemporaryDirectory() as folder:
        path, source = f"{folder}/landcover.yaml", f"{folder}/landcover"
        make_collection(source, Collection())
        text = starter_config(propose_source(source), "landcover", path, epochs=12)
        if explain:
            text = text.replace("\ntrain:\n", "\ntrain:\n  explain: {}\n")
        Path(path).write_text(text, encoding="utf-8")
        config = load_config(path)
        begin = time.perf_counter()
        record = execute(config, path)
        run = time.perf_counter() - begin
        trained, drawn = record.node("Trainer"), record.node("RunPage")
        if trained is None or drawn is None:
            raise RuntimeError(f"the demo drew no page: {record.outcome} {record.reason}")
        run_dir = Workspace(config.workspace).run_dir(record.run_id)
        ended = _seconds(lambda: summarise(record, run_dir))
        curve = read_curve(trained.uri("model_run"))
        ended -= _seconds(lambda: write_curve_png(curve, f"{folder}/curve.png"))
        return drawn.seconds + ended, run


def _seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def _page(sources: Sources, folder: str) -> None:
    evidence = gather(sources, folder)
    content = Content("bad case", evidence=evidence, geojson=read_geojson(folder))
    Path(folder, PAGE_FILE).write_text(run_page(content), encoding="utf-8")


def _write(root: Path, count: int) -> Sources:
    """Writes examples, their predictions and the contract of a model."""
    random = np.random.default_rng(0)
    pictures = [_jpeg(random) for _ in range(_IMAGES)]
    examples, model = Path(split_folder(str(root / "examples"), "test")), root / "model"
    examples.mkdir(parents=True)
    with tf.io.TFRecordWriter(str(examples / "data-00000-of-00001.tfrecord")) as writer:
        for number in range(count):
            values = {ENCODED: pictures[number % _IMAGES], KEY: f"{number:06d}.jpg".encode()}
            writer.write(_example(values))
    rows = _rows(random, count)
    write_predictions(root / PREDICTIONS_FILE, Head("single_label", CLASSES), rows)
    contract = Contract(image=ImageSpec(height_px=_SIDE_PX, width_px=_SIDE_PX), classes=CLASSES)
    (model / CONTRACT_PATH).parent.mkdir(parents=True)
    (model / CONTRACT_PATH).write_text(contract.to_json(), encoding="utf-8")
    return Sources("test", str(root / "examples"), str(model), str(root), str(root))


def _rows(random: np.random.Generator, count: int) -> Iterator[PredictionRow]:
    for number in range(count):
        truth = int(random.integers(len(CLASSES)))
        answer = truth if number % 2 else (truth + 1) % len(CLASSES)
        probabilities = random.dirichlet(np.ones(len(CLASSES)))
        yield PredictionRow(
            f"{number:06d}.jpg",
            truth=CLASSES[truth],
            answer=CLASSES[answer],
            confidence=float(probabilities[answer]),
            score=float(truth == answer),
            loss=float(-np.log(probabilities[truth] + 1e-9)),
            probabilities=probabilities.tolist(),
            longitude=float(random.uniform(8, 9)),
            latitude=float(random.uniform(47, 48)),
        )


def _example(values: dict[str, bytes]) -> bytes:
    features = {
        name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
        for name, value in values.items()
    }
    example = tf.train.Example(features=tf.train.Features(feature=features))
    return bytes(example.SerializeToString())


def _jpeg(random: np.random.Generator) -> bytes:
    """Encodes noise of coarse and fine grain, which compresses badly."""
    coarse = np.kron(random.integers(0, 200, (64, 64, 3)), np.ones((8, 8, 1)))
    pixels = coarse + random.integers(0, 56, (_SIDE_PX, _SIDE_PX, 3))
    buffer = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()
