"""Statistics of a small set: this project's against TFDV's default, side by side in one run.

    python -m benchmarks.statistics [--examples 20000] [--rounds 3]

TFDV's default is what stock StatisticsGen does: a Beam pipeline over every feature, image bytes
included. Both read the same TFRecords, which hold JPEG-sized payloads of 64 x 64 images. Shared
machines vary in speed, so the rounds alternate and the best of each counts.
"""

import argparse
import io
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_data_validation as tfdv
from PIL import Image

from components.statistics.compute import in_memory
from components.statistics.records import shards

GOAL = 5.0
SHARDS = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--examples", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write_examples(Path(folder), args.examples)
        paths = shards(folder)

        def stock() -> None:
            tfdv.generate_statistics_from_tfrecord(f"{folder}/data-*")

        def ours() -> None:
            in_memory(paths)

        ours()  # the first call initialises tf.data for both
        seconds = {"tfdv default": [], "skymill": []}  # type: dict[str, list[float]]
        for _ in range(args.rounds):
            seconds["tfdv default"].append(timed(stock))
            seconds["skymill"].append(timed(ours))
    report({name: min(times) for name, times in seconds.items()}, args.examples)


def report(best: dict[str, float], examples: int) -> None:
    for name, time_s in best.items():
        print(f"{name:>14}: {time_s:6.2f} s  {examples / time_s:10,.0f} examples/s")
    ratio = best["tfdv default"] / best["skymill"]
    print(f"{'ratio':>14}: {ratio:.1f} (goal: at least {GOAL:.0f})")


def timed(call: Callable[[], None]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def write_examples(folder: Path, count: int) -> None:
    """Writes examples as ingest does, around a few hundred distinct real JPEGs."""
    random = np.random.default_rng(7)
    images = [_jpeg(random) for _ in range(256)]
    for shard in range(SHARDS):
        path = folder / f"data-{shard:05d}-of-{SHARDS:05d}.tfrecord"
        with tf.io.TFRecordWriter(str(path)) as writer:
            for index in range(shard, count, SHARDS):
                writer.write(_example(index, images[index % len(images)], random))


def _jpeg(random: np.random.Generator) -> bytes:
    coarse = random.integers(0, 256, (16, 16, 3), dtype=np.uint8)
    image = Image.fromarray(coarse).resize((64, 64), Image.Resampling.BICUBIC)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=90)
    return file.getvalue()


def _example(index: int, image: bytes, random: np.random.Generator) -> bytes:
    label = int(random.integers(10))
    strings = {
        "image/encoded": image,
        "image/format": b"jpeg",
        "image/key": b"class_%d/%06d.jpg" % (label, index),
        "image/sha256": random.bytes(32).hex().encode(),
        "label/text": b"class_%d" % label,
        "slice/region": b"region_%d" % random.integers(5),
    }
    integers = {"image/height": 64, "image/width": 64, "image/channels": 3, "label": label}
    floats = {"image/brightness": random.normal(120, 20), "image/sharpness": random.gamma(2, 5)}
    for band in range(3):
        floats[f"image/mean_{band}"] = random.normal(120, 20)
        floats[f"image/stddev_{band}"] = random.gamma(9, 5)
    example = tf.train.Example()
    for name, text in strings.items():
        example.features.feature[name].bytes_list.value.append(text)
    for name, number in integers.items():
        example.features.feature[name].int64_list.value.append(number)
    for name, real in floats.items():
        example.features.feature[name].float_list.value.append(real)
    serialized: bytes = example.SerializeToString()
    return serialized


if __name__ == "__main__":
    main()
