"""From example files to batches: this project's against a ceiling and against the usual loop.

    python -m benchmarks input_pipeline [--images 8000] [--rounds 7]

All sides read the same TFRecords of 64 px JPEGs, which ingest wrote, in batches of 64.

- ceiling: simplejpeg on two threads, from bytes in memory to batches; nothing is read or parsed.
- in place: the same, but each image is decoded into its row of a batch, which saves a copy.
- decoded: the trainer's stream, which reads, parses, shuffles and decodes.
- augmented: the same with the views of `augment: true`: flips and quarter turns.
- more views: zoom, shift, brightness and contrast as well.
- naive: as in tutorials: each example parsed, decoded and flipped by itself.

The sides take turns (`benchmarks.sides`). Each restarts, warms up before its clock starts, and
yields batches as fast as it can, so that no prefetched batches are counted. The ratios by processor
time show the cost of an image when all cores are busy. Finally the trainer's own steps train the
small CNN on the augmented stream, and the report shows the share of their time spent waiting for a
batch.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from benchmarks.sides import Cost, Rounds, cost_of, machine_load

BATCH = 64
SHAPE = (64, 64, 3)
STEPS = 200
WARM_UP_STEPS = 100
THREADS = 2
CEILING, IN_PLACE = "simplejpeg ceiling", "simplejpeg in place"
DECODED, AUGMENTED, NAIVE = "decoded", "augmented", "naive"
MORE, NAIVE_FLIPPED = "more views", "naive, flipped"

_MORE: dict[str, Any] = {"zoom": {}, "shift": {}, "brightness": {}, "contrast": {}}

#: The pairs of sides to compare, and the required ratio by the clock.
RATIOS = (
    (DECODED, CEILING, "at least 0.65"),
    (AUGMENTED, CEILING, "at least 0.45"),
    (MORE, CEILING, ""),
    (DECODED, IN_PLACE, ""),
    (AUGMENTED, IN_PLACE, ""),
    (DECODED, NAIVE, ""),
    (AUGMENTED, NAIVE_FLIPPED, ""),
)


#: Restarts a side and warms it up; the function returned makes batches and counts their images.
Side = Callable[[], Callable[[], int]]


class Stall(NamedTuple):
    """Share of a training's steps spent waiting; seconds of a step, and of one without waiting."""

    share: float
    step_s: float
    at_hand_s: float


def main() -> None:
    """Prints the rates of all sides, the ratios that matter and the share of stalls."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", type=int, default=8000)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    with written_examples(options.images) as files, machine_load():
        sides = make_sides(files)
        rounds = Rounds(tuple(sides))
        for number in range(options.rounds):
            print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
            rounds.add({name: _cost(side) for name, side in sides.items()})
        report(rounds, stall(files))


@contextmanager
def written_examples(images: int) -> Iterator[list[str]]:
    """Ingests synthetic images into a folder that is removed at the end; yields the train files."""
    from benchmarks.ingest import ingest, make_images

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_images(folder / "images", images)
        (folder / "out").mkdir()
        ingest(folder / "images", folder / "out")
        yield sorted(str(path) for path in (folder / "out").glob("examples/Split-train/*"))


def make_sides(files: list[str]) -> dict[str, Side]:
    """Returns all sides by name."""
    source = _source(files)
    return {
        CEILING: _ceiling(files, in_place=False),
        IN_PLACE: _ceiling(files, in_place=True),
        DECODED: _batches(source.epochs(BATCH, 0)),
        AUGMENTED: _batches(_viewed(source).epochs(BATCH, 0)),
        MORE: _batches(_viewed(source, **_MORE).epochs(BATCH, 0)),
        NAIVE: _naive(files, flipped=False),
        NAIVE_FLIPPED: _naive(files, flipped=True),
    }


def stall(files: list[str]) -> Stall:
    """Measures how long the training steps wait for the augmented stream."""
    from trainer.data.share import distributed
    from trainer.distribution.config import StrategyName
    from trainer.distribution.strategy import make_strategy

    strategy = make_strategy(StrategyName.ONE_DEVICE)
    stream = make_stream(files)
    loop = make_loop(strategy, next(iter(stream)))
    waiting = _Waiting(iter(distributed(strategy, lambda _: stream)))
    at_hand = iter(distributed(strategy, lambda _: stream.take(1).cache().repeat()))
    _steps(loop, waiting, WARM_UP_STEPS)
    waiting.reset()
    streamed = _steps(loop, waiting, STEPS)
    share = waiting.total_s() / sum(streamed)
    _steps(loop, at_hand, WARM_UP_STEPS)
    return Stall(share, median(streamed), median(_steps(loop, at_hand, STEPS)))


def report(rounds: Rounds, stalled: Stall) -> None:
    """Prints the ratios by wall clock and processor time, the rates behind them, and the stalls."""
    for measure, name in (("by the clock", "wall"), ("by processor time", "cpu")):
        print(f"{measure}:")
        for side, base, goal in RATIOS:
            wanted = f" (wanted: {goal})" if goal and name == "wall" else ""
            print(f"  {side} / {base}: {rounds.ratio(base, side, name)}{wanted}")
    print("medians of the rounds:")
    for side in rounds.sides:
        cost = rounds.typical(side)
        print(f"  {side:24} {1 / cost.wall:9,.0f} images/s, {1e6 * cost.cpu:6.1f} us of processors")
    print(
        f"a step of the small CNN: {1e3 * stalled.step_s:.1f} ms, {1e3 * stalled.at_hand_s:.1f} ms "
        f"where the batch is ready; it waits {stalled.share:.1%} of the time"
    )


class _Waiting:
    """Iterator over batches in a graph that adds up the time until each is available."""

    def __init__(self, batches: Iterator[Any]) -> None:
        import tensorflow as tf

        self._batches, self._total_s = batches, tf.Variable(0.0, dtype=tf.float64)

    def __iter__(self) -> "_Waiting":
        return self

    def __next__(self) -> Any:
        import tensorflow as tf

        asked = tf.timestamp()
        with tf.control_dependencies([asked]):
            batch = next(self._batches)
        with tf.control_dependencies(tf.nest.flatten(batch)):
            self._total_s.assign_add(tf.timestamp() - asked)
        return batch

    def reset(self) -> None:
        self._total_s.assign(0.0)

    def total_s(self) -> float:
        return float(self._total_s)


def make_stream(files: list[str]) -> Any:
    """Returns the endless stream of augmented batches that the trainer reads."""
    return _viewed(_source(files)).epochs(BATCH, 0)


def make_trained() -> Any:
    """Returns a compiled small CNN; call it in the scope of its strategy."""
    from components.raster.image import ImageSpec
    from trainer.models.config import SmallCnn
    from trainer.tasks.network import build_network

    model = build_network(SmallCnn(), ImageSpec(), _objective()).trained()
    model.compile("adamw", _objective().loss(), jit_compile=False)
    model.optimizer.build(model.trainable_variables)
    return model


def make_loop(strategy: Any, batch: Any) -> Any:
    """Builds the trainer's loop of a small CNN."""
    from trainer.training.steps import StepLoop

    with strategy.scope():
        model = make_trained()
    loop = StepLoop(model)
    loop.build_metrics(batch)
    return loop


def _steps(loop: Any, batches: Iterator[Any], count: int) -> list[float]:
    """Runs training steps and returns the seconds of each."""
    seconds = []
    for _ in range(count):
        began = time.perf_counter()
        int(loop.train(batches))
        seconds.append(time.perf_counter() - began)
    return seconds


def _cost(side: Side) -> Cost:
    """Measures the seconds of an image."""
    run, images = side(), 0

    def counted() -> None:
        nonlocal images
        images = run()

    cost = cost_of(counted)
    return Cost(cost.wall / images, cost.cpu / images)


def _objective() -> Any:
    from trainer.tasks.single_label import SingleLabel

    return SingleLabel(tuple(f"class_{number}" for number in range(10)))


def _source(files: list[str]) -> Any:
    from components.raster.image import ImageSpec
    from trainer.data.dataset import open_source

    objective = _objective()
    examples = objective.count(files)
    return open_source(tuple(files), examples, ImageSpec(), objective, 0, 4096)


def _viewed(source: Any, **more: Any) -> Any:
    from trainer.augment.augmentation import Augmentation
    from trainer.augment.config import Augment
    from trainer.augment.follow import following
    from trainer.data.transformed import TransformedSource

    augmentation = Augmentation(Augment.model_validate(more))
    return TransformedSource(source, following(augmentation, _objective()))


def _batches(batches: Any) -> Side:
    """Returns the side of an endless data set."""

    def begin() -> Callable[[], int]:
        iterator = iter(batches)

        def run(steps: int = STEPS) -> int:
            for _ in range(steps):
                next(iterator)
            return steps * BATCH

        run(WARM_UP_STEPS)
        return run

    return begin


def _ceiling(files: list[str], in_place: bool) -> Side:
    import numpy as np
    import simplejpeg
    import tensorflow as tf

    from components.raster.example import ENCODED

    records = [record.numpy() for record in tf.data.TFRecordDataset(files)]
    features = [tf.train.Example.FromString(record).features.feature for record in records]
    images = [feature[ENCODED].bytes_list.value[0] for feature in features]

    def decode(part: list[bytes]) -> None:
        for first in range(0, len(part), BATCH):
            some = part[first : first + BATCH]
            if in_place:
                for image, row in zip(some, np.empty((len(some), *SHAPE), np.uint8), strict=True):
                    simplejpeg.decode_jpeg(image, buffer=row)
            else:
                np.stack([simplejpeg.decode_jpeg(image) for image in some])

    def run() -> int:
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(decode, [images[first::THREADS] for first in range(THREADS)]))
        return len(images)

    return lambda: run


def _naive(files: list[str], flipped: bool) -> Side:
    import tensorflow as tf

    from components.raster.example import ENCODED, LABEL

    spec = {
        ENCODED: tf.io.FixedLenFeature([], tf.string),
        LABEL: tf.io.FixedLenFeature([], tf.int64),
    }

    def one(record: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        features = tf.io.parse_single_example(record, spec)
        image = tf.image.resize(tf.io.decode_jpeg(features[ENCODED], channels=3), SHAPE[:2])
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
