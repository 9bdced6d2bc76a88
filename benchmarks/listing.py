"""Growth of time and memory with the number of small images, for each phase that reads a source.

    python -m benchmarks listing [--images 2000 20000 100000] [--rounds 1] [--phases look init]

Each measurement is a process of its own. It first runs the phase on a few images, so that imports
do not count; then on all, and Linux reports its peak memory and the growth of that.
After the sizes of a phase come the bytes that each image adds between the smallest and the largest,
and the ratio of the two peaks, imports included. Processor time is that of the process and its
ended children.
"""

import argparse
import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.sides import Cost, cost_of, forget_peak_memory, machine_load, peak_memory_mb

if TYPE_CHECKING:
    from components.ingest.config import IngestConfig

SIDE_PX = 32
CLASSES = 10
FEW = 80
EXAMPLES, REJECTS = "examples", "rejects"


@dataclass(frozen=True)
class Measured:
    """Costs of a phase, the peak memory of its process, and its growth beyond imports."""

    cost: Cost
    peak_mb: float
    grown_mb: float


def listing(images: Path, work: Path) -> None:
    """Lists the images, sorted and with their classes."""
    from components.ingest.sources import list_source

    list_source(_ingest_config(images))


def fingerprint(images: Path, work: Path) -> None:
    """Takes the fingerprint of the images."""
    from components.ingest.fingerprint import fingerprint_dataset

    fingerprint_dataset(_ingest_config(images).source)


def init(images: Path, work: Path) -> None:
    """Proposes a configuration."""
    from pipelines.starter.propose import propose_source, starter_config

    starter_config(propose_source(str(images)), "small", str(work / "skymill.yaml"))


def splits(images: Path, work: Path) -> None:
    """Counts the splits."""
    from components.ingest.sources import survey

    survey(_ingest_config(images))


def look(images: Path, work: Path) -> None:
    """Draws some examples."""
    from components.ingest.look import look

    look(_ingest_config(images))


def ingest(images: Path, work: Path) -> None:
    """Writes the examples, in one process and with image features."""
    from components.ingest.executor import run_ingest
    from components.node.beam import make_pipeline

    args = ["--runner=FnApiRunner", "--ingest_processes=1"]
    for folder in (EXAMPLES, REJECTS):
        shutil.rmtree(work / folder, ignore_errors=True)
    places = str(work / EXAMPLES), str(work / REJECTS)
    run_ingest(_ingest_config(images), None, *places, lambda: make_pipeline(args))


def statistics(images: Path, work: Path) -> None:
    """Computes the statistics of the train split written by `ingest`."""
    from components.node.records import shards
    from components.statistics.compute import in_memory

    in_memory(shards(str(work / EXAMPLES / "Split-train")))


PHASES: dict[str, Callable[[Path, Path], None]] = {
    it.__name__: it for it in (listing, fingerprint, init, splits, look, ingest, statistics)
}


def _ingest_config(images: Path) -> "IngestConfig":
    from components.ingest.config import IngestConfig
    from components.ingest.photographs.config import FoldersSource

    return IngestConfig(source=FoldersSource(uri=str(images)))


def main() -> None:
    """Prints seconds, memory and their growth for each phase."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", type=int, nargs="+", default=[2_000, 20_000, 100_000])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--phases", nargs="+", choices=PHASES, default=list(PHASES))
    options = parser.parse_args()
    sizes: list[int] = sorted(options.images)
    with tempfile.TemporaryDirectory() as folder, machine_load():
        root = Path(folder)
        make_images(root, [FEW, *sizes])
        titles = ("images", "s", "CPU s", "us an image", "peak MB", "grown MB")
        print(f"{'phase':12}" + "".join(f"{title:>13}" for title in titles))
        for phase in options.phases:
            peaks: dict[int, float] = {}
            for size in sizes:
                runs = [measured(phase, root, size) for _ in range(options.rounds)]
                _print_row(phase, size, runs)
                peaks[size] = median(run.peak_mb for run in runs)
            _print_growth(phase, peaks)


def make_images(root: Path, sizes: Sequence[int]) -> None:
    """Writes class folders of different JPEGs; the smaller sets are links to the largest's."""
    import numpy as np
    import simplejpeg

    draw = np.random.default_rng(1)
    for number in range(max(sizes)):
        coarse = draw.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        pixels = np.ascontiguousarray(coarse.repeat(SIDE_PX // 4, 0).repeat(SIDE_PX // 4, 1))
        name = f"class_{number % CLASSES}/{number:07d}.jpg"
        first = root / str(max(sizes)) / name
        if number < CLASSES:
            for size in sizes:
                (root / str(size) / name).parent.mkdir(parents=True)
        first.write_bytes(simplejpeg.encode_jpeg(pixels, quality=85))
        for size in sizes:
            if number < size < max(sizes):
                os.link(first, root / str(size) / name)


def measured(phase: str, root: Path, images: int) -> Measured:
    """Runs a phase in a process of its own."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context) as pool:
        return pool.submit(_measure, phase, root, images).result()


def _measure(phase: str, root: Path, images: int) -> Measured:
    run = PHASES[phase]
    works = {size: root / f"work-{size}" for size in (FEW, images)}
    for work in works.values():
        work.mkdir(exist_ok=True)
    if phase == "statistics" and not (works[FEW] / EXAMPLES).exists():
        raise SystemExit("statistics needs the examples of ingest: measure both phases")
    run(root / str(FEW), works[FEW])
    forget_peak_memory()
    before = peak_memory_mb()
    cost = cost_of(lambda: run(root / str(images), works[images]))
    peak = peak_memory_mb()
    return Measured(cost, peak, peak - before)


def _print_row(phase: str, images: int, runs: Sequence[Measured]) -> None:
    wall = median(run.cost.wall for run in runs)
    cpu = median(run.cost.cpu for run in runs)
    peak, grown = (median(getattr(run, name) for run in runs) for name in ("peak_mb", "grown_mb"))
    figures = f"{wall:13.2f}{cpu:13.2f}{1e6 * cpu / images:13.1f}{peak:13.0f}{grown:13.1f}"
    print(f"{phase:12}{images:13}{figures}", flush=True)


def _print_growth(phase: str, peaks: Mapping[int, float]) -> None:
    fewest, most = min(peaks), max(peaks)
    if fewest < most:
        each = (peaks[most] - peaks[fewest]) * 2**20 / (most - fewest)
        ratio = peaks[most] / peaks[fewest]
        print(f"{phase}: {each:.0f} bytes an image, peak {ratio:.2f} of that of {fewest}")
