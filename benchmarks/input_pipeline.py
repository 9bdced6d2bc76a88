"""From example files to batches: this project's against a ceiling and against the usual loop.

    python -m benchmarks.input_pipeline [--images 8000] [--rounds 7]

All sides read the same TFRecords of 64 px JPEGs, which ingest wrote, in batches of 64.

- ceiling: simplejpeg on two threads, from bytes in memory; nothing is read, parsed or put together.
- decoded: the trainer's stream as it reads, parses, shuffles and decodes.
- augmented: the same with the views that `augment: true` stands for, flips and quarter turns.
- more views: zoom, shift, brightness and contrast as well.
- naive: what tutorials do: each example parsed, decoded and flipped by itself.

The sides take turns, each going on where it stopped, and a ratio is the median over the rounds of
neighbours in time, since a shared machine is fast and slow by turns. Of a busy machine the ratio of
processor time for an image tells more than that of the clock. At the end the small CNN is trained
on the augmented stream, and the share of time is told for which a step waits for its batch.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

BATCH = 64
STEPS = 80
THREADS = 2
CEILING, DECODED, AUGMENTED, NAIVE = "simplejpeg ceiling", "decoded", "augmented", "naive"
MORE, NAIVE_FLIPPED = "more views", "naive, flipped"

_MORE: dict[str, Any] = {"zoom": {}, "shift": {}, "brightness": {}, "contrast": {}}

Side = Callable[[], int]


class Cost(NamedTuple):
    """Seconds for an image, on the clock and of all processors."""

    wall: float
    cpu: float


def main() -> None:
    """Prints the rates of every side, the ratios that count and the share of stalls."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", type=int, default=8000)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    os.environ |= {"CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
    from benchmarks.ingest import ingest, make_images

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_images(folder / "images", options.images)
        (folder / "out").mkdir()
        ingest(folder / "images", folder / "out")
        files = sorted(str(path) for path in (folder / "out").glob("examples/Split-train/*"))
        sides = make_sides(files)
        for run in sides.values():
            run()
        rounds = []
        for number in range(options.rounds):
            print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
            rounds.append({side: _cost(run) for side, run in sides.items()})
        report(rounds)
        stalled, step_s = stall(files)
    print(f"a step of the small CNN takes {1e3 * step_s:.1f} ms; {stalled:.1%} of it is waiting")


def make_sides(files: list[str]) -> dict[str, Side]:
    """Each side as a function that makes some batches and counts their images."""
    source = _source(files)
    sides = {
        CEILING: _ceiling(files),
        DECODED: _batches(source.epochs(BATCH, 0)),
        AUGMENTED: _batches(_viewed(source).epochs(BATCH, 0)),
        MORE: _batches(_viewed(source, **_MORE).epochs(BATCH, 0)),
        NAIVE: _naive(files, flipped=False),
        NAIVE_FLIPPED: _naive(files, flipped=True),
    }
    return sides


def stall(files: list[str]) -> tuple[float, float]:
    """Which share of a training the steps wait for batches, and how long a step takes."""
    from components.raster.image import ImageSpec
    from trainer.models.config import SmallCnn
    from trainer.models.network import build_network

    model = build_network(SmallCnn(), ImageSpec(), _objective()).trained()
    model.compile("adamw", _objective().loss())
    batches = iter(_viewed(_source(files)).epochs(BATCH, 0))
    for _ in range(5):
        model.train_on_batch(*next(batches))
    waiting, began = 0.0, time.perf_counter()
    for _ in range(STEPS):
        asked = time.perf_counter()
        batch = next(batches)
        waiting += time.perf_counter() - asked
        model.train_on_batch(*batch)
    whole = time.perf_counter() - began
    return waiting / whole, whole / STEPS


def report(rounds: list[dict[str, Cost]]) -> None:
    """Prints rates and ratios."""
    for side in rounds[0]:
        rate, cpu = (median(getattr(it[side], name) for it in rounds) for name in Cost._fields)
        print(f"{side:20} {1 / rate:9,.0f} images/s, {1e6 * cpu:6.1f} us of processors an image")
    for side, base, goal in (
        (DECODED, CEILING, ", at least 0.65"),
        (AUGMENTED, CEILING, ", at least 0.45"),
        (MORE, CEILING, ""),
        (DECODED, NAIVE, ""),
        (AUGMENTED, NAIVE_FLIPPED, ""),
    ):
        clock, cpu = (
            median(getattr(it[base], name) / getattr(it[side], name) for it in rounds)
            for name in Cost._fields
        )
        print(f"{side} / {base}: {clock:.2f} by the clock{goal}; {cpu:.2f} by processor time")


def _cost(run: Side) -> Cost:
    began, used = time.perf_counter(), time.process_time()
    images = run()
    return Cost((time.perf_counter() - began) / images, (time.process_time() - used) / images)


def _objective() -> Any:
    from trainer.tasks.single_label import SingleLabel

    return SingleLabel(tuple(f"class_{number}" for number in range(10)))


def _source(files: list[str]) -> Any:
    from components.raster.image import ImageSpec
    from trainer.dataset import open_source

    objective = _objective()
    examples = objective.count(files)
    return open_source(tuple(files), examples, ImageSpec(), objective, 0, 4096)


def _viewed(source: Any, **more: Any) -> Any:
    from trainer.augment.augmentation import Augmentation
    from trainer.augment.config import Augment
    from trainer.augment.follow import following
    from trainer.changed import Changed

    augmentation = Augmentation(Augment.model_validate(more))
    return Changed(source, following(augmentation, _objective().task))


def _batches(batches: Any) -> Side:
    """Goes on in an endless data set, as a training does."""
    iterator = iter(batches)

    def run() -> int:
        for _ in range(STEPS):
            next(iterator)
        return STEPS * BATCH

    return run


def _ceiling(files: list[str]) -> Side:
    import simplejpeg
    import tensorflow as tf

    from components.raster.example import ENCODED

    records = [record.numpy() for record in tf.data.TFRecordDataset(files)]
    features = [tf.train.Example.FromString(record).features.feature for record in records]
    images = [feature[ENCODED].bytes_list.value[0] for feature in features]

    def decode(part: list[bytes]) -> None:
        for image in part:
            simplejpeg.decode_jpeg(image)

    def run() -> int:
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(decode, [images[first::THREADS] for first in range(THREADS)]))
        return len(images)

    return run


def _naive(files: list[str], flipped: bool) -> Side:
    import tensorflow as tf

    from components.raster.example import ENCODED, LABEL

    spec = {
        ENCODED: tf.io.FixedLenFeature([], tf.string),
        LABEL: tf.io.FixedLenFeature([], tf.int64),
    }

    def one(record: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        features = tf.io.parse_single_example(record, spec)
        image = tf.image.resize(tf.io.decode_jpeg(features[ENCODED], channels=3), (64, 64))
        if flipped:
            image = tf.image.random_flip_left_right(tf.image.random_flip_up_down(image))
            image = tf.image.rot90(image, tf.random.uniform((), 0, 4, tf.int32))
        return image, features[LABEL]

    batches = (
        tf.data.TFRecordDataset(files)
        .shuffle(4096)
        .repeat()
        .map(one, num_parallel_calls=tf.data.AUTOTUNE)
        .batch(BATCH, drop_remainder=True)
        .prefetch(tf.data.AUTOTUNE)
    )
    return _batches(batches)


if __name__ == "__main__":
    main()
