"""Ingest of small JPEGs against loops written by hand, as ratios in one run.

    python -m benchmarks.ingest [--images 20000] [--rounds 5] [--processes 2]

- plain loop: what everyone writes: PIL for the header, tf.train.Example, TFRecordWriter.
- worked loop: one process, no framework, the same work as ingest with image features: the same
  reading, hash, decoding, features, split and encoding, straight into three files.
- ingest: the component's own path, its Beam pipeline included.

Rounds interleave the sides and each counts with its best time, since other work on the machine
only ever adds. Times are of the wall, and for sides of one process of its CPU as well: where the
machine is shared, those say more. What a side costs before its first image (a run on ten images, in
the same process) is taken off and shown on its own, so that fewer images and more rounds will do.
"""

import argparse
import gc
import hashlib
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Any

SIDE_PX = 64
CLASSES = 10
SPLIT_FILES = ("train", "eval", "test")


def make_images(root: Path, count: int) -> None:
    """Class folders with `count` different JPEGs of about 3 KB: smooth fields and some noise."""
    import numpy as np
    import simplejpeg

    draw = np.random.default_rng(1)
    rows, cols = np.mgrid[0:SIDE_PX, 0:SIDE_PX] / SIDE_PX
    for number in range(count):
        waves = draw.uniform(1, 9, (3, 2))
        field = np.sin(waves[:, :1, None] * rows + waves[:, 1:, None] * cols).transpose(1, 2, 0)
        noise = draw.normal(0, 14, field.shape)
        pixels = np.clip(128 + 90 * field + noise, 0, 255).astype(np.uint8)
        folder = root / f"class_{number % CLASSES}"
        folder.mkdir(parents=True, exist_ok=True)
        data = simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), quality=85)
        (folder / f"{number:06d}.jpg").write_bytes(data)


def plain_loop(root: Path, target: Path) -> None:
    """The loop everyone writes."""
    import tensorflow as tf
    from PIL import Image

    classes = {name: index for index, name in enumerate(sorted(os.listdir(root)))}
    with tf.io.TFRecordWriter(str(target / "plain.tfrecord")) as writer:
        for path in _paths(root):
            data = path.read_bytes()
            width, height = Image.open(io.BytesIO(data)).size
            label = path.parent.name
            feature = {
                "image/encoded": _bytes_feature(tf, data),
                "image/format": _bytes_feature(tf, b"jpeg"),
                "image/height": _int_feature(tf, height),
                "image/width": _int_feature(tf, width),
                "image/key": _bytes_feature(tf, f"{label}/{path.name}".encode()),
                "label": _int_feature(tf, classes[label]),
                "label/text": _bytes_feature(tf, label.encode()),
            }
            example = tf.train.Example(features=tf.train.Features(feature=feature))
            writer.write(example.SerializeToString())


def worked_loop(root: Path, target: Path) -> None:
    """The work of ingest with image features and nothing around it."""
    import simplejpeg

    from components.ingest.encode import example_bytes, record_bytes
    from components.ingest.judge import Accepted
    from components.ingest.record import Record
    from components.raster.features import image_features
    from components.raster.split import SplitConfig, split_of

    classes = {name: index for index, name in enumerate(sorted(os.listdir(root)))}
    config = SplitConfig()
    with ExitStack() as stack:
        files = {
            split: stack.enter_context(open(target / split, "wb", buffering=1 << 20))
            for split in SPLIT_FILES
        }
        for path in _paths(root):
            data = path.read_bytes()
            pixels = simplejpeg.decode_jpeg(data)
            height, width, _ = pixels.shape
            sha256 = hashlib.sha256(data).hexdigest()
            label = path.parent.name
            record = Record(f"{label}/{path.name}", str(path), label)
            image = Accepted("jpeg", height, width, 3, pixels)
            features = image_features(pixels)
            example = example_bytes(record, data, sha256, image, features, classes)
            files[split_of(sha256, None, None, config)].write(record_bytes(example))


def ingest(root: Path, target: Path, features: bool = True, processes: int = 1) -> None:
    """The component's own path."""
    import apache_beam as beam

    from components.ingest.config import FoldersSource, IngestConfig
    from components.ingest.executor import run_ingest

    config = IngestConfig(source=FoldersSource(uri=str(root)), features=features)
    argv = ["--runner=FnApiRunner", f"--ingest_processes={processes}"]
    places = str(target / "examples"), str(target / "rejects")
    run_ingest(config, "", *places, lambda: beam.Pipeline(argv=argv))


SIDES: dict[str, Callable[..., None]] = {
    "plain loop": plain_loop,
    "worked loop": worked_loop,
    "ingest, features on": ingest,
    "ingest, features off": lambda root, target: ingest(root, target, features=False),
}


@dataclass(frozen=True)
class Seconds:
    """What one side took: start-up by the wall, then all images by the wall and by its own CPU."""

    start: float
    wall: float
    cpu: float


def measure(side: str, root: Path, processes: int) -> Seconds:
    """Runs one side in this process; its imports do not count."""
    run = SIDES.get(side) or (lambda root, target: ingest(root, target, processes=processes))
    few = root.parent / "few"
    _timed(run, few)
    start_wall, start_cpu = min(_timed(run, few) for _ in range(2))
    wall, cpu = _timed(run, root)
    return Seconds(start_wall, wall - start_wall, cpu - start_cpu)


def _timed(run: Callable[..., None], root: Path) -> tuple[float, float]:
    gc.collect()  # else the garbage of imports is collected in somebody's time
    with tempfile.TemporaryDirectory(dir=root.parent) as target:
        wall, cpu = time.monotonic(), time.process_time()
        run(root, Path(target))
        return time.monotonic() - wall, time.process_time() - cpu


def main() -> None:
    """Prints a table of rates and the ratios that count."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--side", nargs=2, metavar=("NAME", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        name, folder = options.side
        print(json.dumps(asdict(measure(name, Path(folder), options.processes))))
        return
    sides = [*SIDES, f"ingest, features on, {options.processes} processes"]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "many"
        make_images(root, options.images)
        make_images(Path(folder) / "few", CLASSES)
        print(
            f"{options.images} JPEGs of {SIDE_PX} px, best of {options.rounds} rounds", flush=True
        )
        rounds = [
            {side: _in_a_process(side, root, options.processes) for side in sides}
            for _ in range(options.rounds)
        ]
    best = {side: _best([times[side] for times in rounds]) for side in sides}
    _print(options.images, best)


def _best(rounds: list[Seconds]) -> Seconds:
    return Seconds(*(min(column) for column in zip(*map(astuple, rounds), strict=True)))


def _in_a_process(side: str, root: Path, processes: int) -> Seconds:
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
    argv = [sys.executable, "-m", "benchmarks.ingest", "--side", side, str(root)]
    done = subprocess.run(
        [*argv, f"--processes={processes}"], capture_output=True, env=environment, timeout=900
    )
    if done.returncode:
        sys.exit(f"{side} failed:\n{done.stderr.decode(errors='replace')[-3000:]}")
    return Seconds(**json.loads(done.stdout.splitlines()[-1]))


def _print(images: int, best: dict[str, Seconds]) -> None:
    for side, it in best.items():
        print(
            f"{side:36} {images / it.wall:9,.0f} images/s, by its own CPU "
            f"{images / it.cpu:9,.0f}, after {it.start:.1f} s"
        )
    plain, worked, on, off, many = best.values()
    print(_ratio("features on / worked loop", worked, on, "at least 0.8"))
    print(f"several processes / worked loop: {worked.wall / many.wall:.2f} (at least 1.7)")
    print(_ratio("features off / plain loop", plain, off, "at least 3"))


def _ratio(name: str, base: Seconds, ours: Seconds, bound: str) -> str:
    by_wall, by_cpu = base.wall / ours.wall, base.cpu / ours.cpu
    return f"{name}: {by_wall:.2f}, by CPU {by_cpu:.2f} ({bound})"


def _paths(root: Path) -> Iterator[Path]:
    for folder in sorted(root.iterdir()):
        yield from (folder / name for name in sorted(os.listdir(folder)))


def _bytes_feature(tf: Any, value: bytes) -> Any:
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))


def _int_feature(tf: Any, value: int) -> Any:
    return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))


if __name__ == "__main__":
    main()
