"""Ingest of small JPEGs against loops written by hand, as ratios in one run.

    python -m benchmarks ingest [--images 24000] [--rounds 5] [--processes 2]

- plain loop: the usual script: PIL for the header, tf.train.Example, TFRecordWriter.
- worked loop: one process, no framework, the same work as ingest with image features: the same
  reading, hash, decoding, split and encoding, and the features by OpenCV.
- ingest: the component's own path, its Beam pipeline and the check of the fingerprint included.
- floor: only reading, sha256 and writing, which any ingest that identifies its content does.
- webdataset: its ShardWriter with the same bytes, where it is installed. To measure it without
  changing the environment:

    python -m pip install --no-deps --target /tmp/peers webdataset braceexpand
    PYTHONPATH=/tmp/peers python -m benchmarks ingest

The sides take turns (`benchmarks.sides`). Their seconds include their start-up, which is also shown
separately, as a run on ten images. Processes fork from a server that imports their libraries once,
in the first round: medians exclude that, and the first start is shown separately. The machine
limits the gain of several processes: as many concurrent worked loops measure that limit.
"""

import argparse
import hashlib
import io
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.sides import Rounds, cost_of, machine_load, take_turns

SIDE_PX = 64
CLASSES = 10
SPLIT_FILES = ("train", "eval", "test")
ON, OFF = "ingest, features on", "ingest, features off"
MANY, OFF_MANY = f"{ON}, processes", f"{OFF}, processes"
COPIES = "worked loops at once"
FLOOR = "floor"


def make_images(root: Path, count: int) -> None:
    """Writes class folders with `count` different JPEGs of about 3 KB: smooth noisy fields."""
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
    """Converts the images as most people would: PIL, tf.train.Example and TFRecordWriter."""
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
    """Does the work of ingest with image features, with no framework around it."""
    import simplejpeg

    from components.ingest.files.encode import example_bytes, write_record
    from components.ingest.records.outcome import Accepted
    from components.ingest.records.record import Record
    from components.raster.features import ImageFeatures
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
            features = ImageFeatures(*_features(pixels))
            example = example_bytes(record, data, sha256, image, features, classes)
            write_record(files[split_of(sha256, None, None, config)], example)


def _features(pixels: Any) -> tuple[Any, Any, float, float]:
    """Computes ingest's image features, as one would write them with OpenCV."""
    import cv2
    import numpy as np

    mean, stddev = cv2.meanStdDev(pixels)
    weights = np.array([[0.299, 0.587, 0.114]], np.float32)
    luma = cv2.transform(pixels.astype(np.float32), weights)
    edges = cv2.Laplacian(luma, cv2.CV_32F)[1:-1, 1:-1]
    sharpness = cv2.meanStdDev(edges)[1]
    brightness = weights[0] @ mean[:, 0]
    return tuple(mean[:, 0]), tuple(stddev[:, 0]), float(brightness), float(sharpness[0, 0])


def floor(root: Path, target: Path) -> None:
    """Only reads, hashes and writes the bytes, as directly as Python can."""
    folders = [os.path.join(root, name) for name in os.listdir(root)]
    paths = [os.path.join(folder, name) for folder in folders for name in os.listdir(folder)]
    with open(target / "floor", "wb", buffering=1 << 20) as file:
        for path in paths:
            handle = os.open(path, os.O_RDONLY)
            data = os.read(handle, os.fstat(handle).st_size)
            os.close(handle)
            file.write(hashlib.sha256(data).digest())
            file.write(data)


def webdataset_loop(root: Path, target: Path) -> None:
    """Writes the images with webdataset's ShardWriter."""
    import webdataset

    with webdataset.ShardWriter(str(target / "%06d.tar"), maxcount=8000, verbose=0) as writer:
        for number, path in enumerate(_paths(root)):
            label = path.parent.name
            writer.write({"__key__": f"{number:09d}", "jpg": path.read_bytes(), "cls": label})


def ingest(root: Path, target: Path, features: bool = True, processes: int = 1) -> None:
    """Runs the component's own path."""
    from components.ingest.config import IngestConfig
    from components.ingest.executor import run_ingest
    from components.ingest.photographs.config import FoldersSource
    from components.node.beam import make_pipeline

    config = IngestConfig(source=FoldersSource(uri=str(root)), features=features)
    args = ["--runner=FnApiRunner", f"--ingest_processes={processes}"]
    places = str(target / "examples"), str(target / "rejects")
    run_ingest(config, None, *places, lambda: make_pipeline(args))


SIDES: dict[str, Callable[[Path, Path], None]] = {
    "plain loop": plain_loop,
    "worked loop": worked_loop,
    ON: ingest,
    OFF: lambda root, target: ingest(root, target, features=False),
    FLOOR: floor,
}


def main() -> None:
    """Prints the rates of all sides and the ratios that matter."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", type=int, default=24_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    processes: int = options.processes
    sides = {
        **SIDES,
        MANY: lambda root, target: ingest(root, target, processes=processes),
        OFF_MANY: lambda root, target: ingest(root, target, False, processes),
    }
    if find_spec("webdataset"):
        sides["webdataset"] = webdataset_loop
    else:
        print("webdataset is not installed and is left out", file=sys.stderr)
    with (
        tempfile.TemporaryDirectory() as folder,
        ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool,
        machine_load(),
    ):
        sides[COPIES] = lambda root, target: _copies(pool, processes, root, target)
        many, few = Path(folder) / "many", Path(folder) / "few"
        make_images(many, options.images)
        make_images(few, CLASSES)
        small = {name: partial(run_side, side, few) for name, side in sides.items()}
        for run in small.values():
            run()  # so that imports do not count
        starts = {name: cost_of(run).wall for name, run in small.items()}
        large = {name: partial(run_side, side, many) for name, side in sides.items()}
        first = cost_of(large[OFF_MANY]).wall
        rounds = take_turns(large, options.rounds)
        print(f"{options.images} JPEGs of {SIDE_PX} px, {options.rounds} rounds")
        _print_rates(options.images, rounds, starts)
        _print_ratios(rounds, processes)
        later = rounds.typical(OFF_MANY).wall
        print(f"the first start of {processes} processes: {first - later:.1f} s more")


def run_side(side: Callable[[Path, Path], None], root: Path) -> None:
    """Runs a side over the images in `root`, into a folder that is removed again."""
    with tempfile.TemporaryDirectory(dir=root.parent) as target:
        side(root, Path(target))


def _copies(pool: ProcessPoolExecutor, processes: int, root: Path, target: Path) -> None:
    """Runs a worked loop in each process at once, each over all images."""
    targets = [target / str(number) for number in range(processes)]
    for path in targets:
        path.mkdir()
    list(pool.map(worked_loop, [root] * processes, targets))


def _print_rates(images: int, rounds: Rounds, starts: dict[str, float]) -> None:
    for name, start in starts.items():
        if name != COPIES:
            cost = rounds.typical(name)
            print(
                f"{name:35} {images / cost.wall:9,.0f} images/s; {1e6 * cost.cpu / images:4.0f} µs "
                f"of processor time an image; ten images {start:.2f} s"
            )


def _print_ratios(rounds: Rounds, processes: int) -> None:
    ratio = rounds.ratio
    print(f"features on / worked loop: {ratio('worked loop', ON)} (at least 0.95)")
    print(f"the same in processor time: {ratio('worked loop', ON, 'cpu')}")
    print(f"features off / plain loop: {ratio('plain loop', OFF)} (at least 4)")
    print(f"the same in processor time: {ratio('plain loop', OFF, 'cpu')}")
    print(f"floor / plain loop: {ratio('plain loop', FLOOR)}, which nothing in Python exceeds")
    print(f"features off, {processes} processes / plain loop: {ratio('plain loop', OFF_MANY)}")
    print(f"{processes} processes / one, features on: {ratio(ON, MANY)} (at least 1.9)")
    print(f"{processes} processes / one, features off: {ratio(OFF, OFF_MANY)} (more than 1)")
    print(
        f"{processes} worked loops at once / one: "
        f"{ratio('worked loop', COPIES, factor=processes)}, the limit of the machine"
    )
    if "webdataset" in rounds.sides:
        print(f"features off / webdataset: {ratio('webdataset', OFF)}")


def _paths(root: Path) -> Iterator[Path]:
    for folder in sorted(root.iterdir()):
        yield from (folder / name for name in sorted(os.listdir(folder)))


def _bytes_feature(tf: Any, value: bytes) -> Any:
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))


def _int_feature(tf: Any, value: int) -> Any:
    return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
