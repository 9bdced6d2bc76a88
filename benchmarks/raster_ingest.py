"""From a scene to TFRecords: ingest against the same work without a framework, in one run.

The limit is a loop written by hand in as many processes as the machine has cores: each decodes
whole rows of blocks, slices the tiles, computes their statistics, encodes payload and example, and
writes its own file. It has no planning, splits or rejects. The page cache is warm; the
start-up cost of both sides is measured on a small scene and subtracted.

    python -m benchmarks raster_ingest [--size 6144] [--bands 4] [--tile 256] [--turns 5]
"""

import argparse
import hashlib
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import rasterio
from rasterio.windows import Window as RasterioWindow

from benchmarks.made_scene import BLOCK_PX, make_scene

CORES = os.cpu_count() or 1
SMALL_PX = 5 * BLOCK_PX  # enough tiles for ingest to start all its processes


def write_rows(path: Path, target: Path, band_names: tuple[str, ...], tile_px: int) -> int:
    """Writes the tiles of each `CORES`-th row of blocks from `target`'s number; counts them."""
    from components.ingest.files.encode import (
        bytes_entry,
        features_message,
        float_entry,
        write_record,
    )
    from components.raster import example
    from components.raster.payload import encode_payload
    from components.raster.tiles.tile import band_statistics

    written, own = 0, int(target.name)
    valid = np.ones((tile_px, tile_px), np.bool_)
    with rasterio.open(path) as dataset, open(target, "wb", buffering=1 << 20) as file:
        for top in range(own * BLOCK_PX, dataset.height, CORES * BLOCK_PX):
            rows = min(BLOCK_PX, dataset.height - top)
            read = dataset.read(window=RasterioWindow(0, top, dataset.width, rows))
            block = np.ascontiguousarray(read.transpose(1, 2, 0))
            for row in range(0, rows, tile_px):
                for col in range(0, dataset.width, tile_px):
                    pixels = block[row : row + tile_px, col : col + tile_px]
                    payload = encode_payload(pixels, band_names)
                    entries = [
                        bytes_entry(example.ENCODED, payload),
                        bytes_entry(example.SHA256, hashlib.sha256(payload).hexdigest().encode()),
                        bytes_entry(example.KEY, f"{top + row},{col}".encode()),
                    ]
                    found = band_statistics(pixels, valid)
                    for band, mean, stddev in zip(
                        band_names, found.mean, found.stddev, strict=True
                    ):
                        entries.append(float_entry(example.mean_of_band(band), mean))
                        entries.append(float_entry(example.stddev_of_band(band), stddev))
                    write_record(file, features_message(entries))
                    written += 1
    return written


def by_hand(path: Path, folder: Path, bands: int, tile_px: int) -> int:
    """Runs the limit and returns the number of tiles written."""
    names = band_names(bands)
    targets = [folder / str(number) for number in range(CORES)]
    # Ingest starts its processes anew as well.
    with ProcessPoolExecutor(CORES, multiprocessing.get_context("spawn")) as pool:
        return sum(
            pool.map(write_rows, [path] * CORES, targets, [names] * CORES, [tile_px] * CORES)
        )


def by_ingest(path: Path, folder: Path, bands: int, tile_px: int) -> int:
    """Runs the component's own path on as many processes."""
    import apache_beam as beam

    from components.ingest.config import IngestConfig
    from components.ingest.executor import run_ingest

    config = IngestConfig.model_validate(
        {
            "source": {
                "kind": "scenes",
                "uri": str(path),
                "band_names": band_names(bands),
                "tiling": {"size_px": tile_px},
            },
            "image": {"height_px": tile_px, "width_px": tile_px, "bands": band_names(bands)},
            "split_by": {"by": "block", "block_m": 10_000, "buffer_m": None},
        }
    )
    argv = ["--runner=FnApiRunner", f"--ingest_processes={CORES}"]
    places = str(folder / "examples"), str(folder / "rejects")
    summary = run_ingest(config, None, *places, lambda: beam.Pipeline(argv=argv))
    return sum(summary.images.values())


def band_names(bands: int) -> tuple[str, ...]:
    """Returns B01, B02 and so on."""
    return tuple(f"B{number:02d}" for number in range(1, bands + 1))


Way = Callable[[Path, Path, int, int], int]
WAYS: dict[str, Way] = {"by hand": by_hand, "ingest": by_ingest}


def seconds(way: Way, path: Path, bands: int, tile_px: int) -> float:
    """Times one run and checks that no tile is missing."""
    with rasterio.open(path) as dataset:
        tiles = -(-dataset.height // tile_px) * -(-dataset.width // tile_px)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        start = time.perf_counter()
        written = way(path, Path(folder), bands, tile_px)
        taken = time.perf_counter() - start
    assert written == tiles, f"{written} tiles of {tiles}"
    return taken


def main() -> None:
    """Makes scenes and compares both ways."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=int, default=6144, help="rows and columns")
    parser.add_argument("--bands", type=int, default=4)
    parser.add_argument("--tile", type=int, default=256)
    parser.add_argument("--turns", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="skymill-") as folder:
        large, small = (Path(folder) / name for name in ("large.tif", "small.tif"))
        make_scene(large, options.size, bands=options.bands)
        make_scene(small, SMALL_PX, bands=options.bands)
        turns: list[dict[str, float]] = []
        for number in range(options.turns + 1):
            taken = {
                name: seconds(way, large, options.bands, options.tile)
                - seconds(way, small, options.bands, options.tile)
                for name, way in WAYS.items()
            }
            if number:  # the first turn warms caches up
                turns.append(taken)
    raw = (options.size**2 - SMALL_PX**2) * options.bands * np.dtype("uint16").itemsize
    print(
        f"{options.size} x {options.size} x {options.bands} uint16, tiles of {options.tile}, "
        f"{CORES} processes, {options.turns} turns"
    )
    for name in WAYS:
        best = min(turn[name] for turn in turns)
        print(f"{name:10} {raw / 1e6 / best:6.0f} MB/s at best")
    ratio = statistics.median(turn["by hand"] / turn["ingest"] for turn in turns)
    print(f"ingest / by hand: {ratio:.2f} (at least 0.85)")
