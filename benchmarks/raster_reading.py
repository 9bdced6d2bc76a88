"""Reading a scene as tiles, compared with the fastest full decode that GDAL can do.

All ways read the same synthetic scene in the same run, in turns, so that a busy machine slows them
alike; each ratio is the median over the turns. The page cache is warm. Warped tiles are compared
with GDAL's warp of the whole scene to the same grid.

    python -m benchmarks raster_reading [--size 6144] [--bands 4] [--tile 256] [--turns 5]
"""

import argparse
import importlib.util
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from operator import truediv
from pathlib import Path

import numpy as np
import rasterio
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window as RasterioWindow

from benchmarks.made_scene import make_scene
from components.raster.scene.probe import open_scene
from components.raster.scene.scene import BandFile, SceneSource
from components.raster.tiles.parts import whole
from components.raster.tiles.reader import WARP_ERROR_PX
from components.raster.tiles.reading import read_tiles
from components.raster.tiles.tiling import Tiling, plan_tiles
from components.raster.tiles.view import Warp, view_scene

CORES = os.cpu_count() or 1
TORCHGEO = "TorchGeo's grid sampler"
WARP, WARPED = "GDAL's warp of the scene", "Skymill tiles, warped"
WARP_CRS = "EPSG:3857"


def all_cores_decode(path: Path, tile_px: int) -> None:
    """Decodes the whole file with GDAL, one thread per core."""
    del tile_px
    with rasterio.open(path, NUM_THREADS="ALL_CPUS") as dataset:
        dataset.read()


def block_threads_decode(path: Path, tile_px: int) -> None:
    """Decodes whole blocks in one thread and handle per core, keeping nothing."""
    del tile_px
    own = threading.local()
    with rasterio.open(path) as dataset:
        windows = [window for _, window in dataset.block_windows(1)]

    def decode(window: RasterioWindow) -> None:
        if not hasattr(own, "dataset"):
            own.dataset = rasterio.open(path, sharing=False)
        own.dataset.read(window=window)

    with ThreadPoolExecutor(CORES) as pool:
        list(pool.map(decode, windows))


def skymill_tiles(path: Path, tile_px: int, warp: Warp | None = None) -> None:
    """Reads our tiles: pixels (H, W, C), mask, transform, centre."""
    scene = open_scene(SceneSource("scene", (BandFile(str(path)),)))
    view = view_scene(scene, warp=warp)
    plan = plan_tiles("scene", view.grid, Tiling(size_px=tile_px))
    count = sum(1 for _ in read_tiles(view, whole(plan)))
    assert count == plan.lattice_count


def gdal_warp(path: Path, tile_px: int) -> None:
    """Warps the whole scene in one call, in as many threads as there are cores."""
    del tile_px
    with (
        rasterio.open(path, NUM_THREADS="ALL_CPUS") as dataset,
        WarpedVRT(
            dataset,
            crs=WARP_CRS,
            resampling=Resampling.bilinear,
            tolerance=WARP_ERROR_PX,
            NUM_THREADS="ALL_CPUS",
        ) as warped,
    ):
        warped.read()


def window_loop(path: Path, tile_px: int) -> None:
    """Reads windows in a simple loop: one handle, one window after the other."""
    with rasterio.open(path) as dataset:
        for row in range(0, dataset.height, tile_px):
            for col in range(0, dataset.width, tile_px):
                window = RasterioWindow(col, row, tile_px, tile_px)
                dataset.read(window=window, boundless=False).transpose(1, 2, 0)


def torchgeo_sampler(path: Path, tile_px: int) -> None:
    """Samples TorchGeo's RasterDataset with its GridGeoSampler; its tiles have no mask."""
    from torchgeo.datasets import RasterDataset
    from torchgeo.samplers import GridGeoSampler

    dataset = RasterDataset(path)
    for query in GridGeoSampler(dataset, size=tile_px, stride=tile_px):
        dataset[query]


def ways() -> Iterator[tuple[str, Callable[[Path, int], None]]]:
    """Yields the ways to compare; the first two are the limit."""
    yield "full decode, GDAL's threads", all_cores_decode
    yield "full decode, block threads", block_threads_decode
    yield "Skymill tiles", skymill_tiles
    yield "plain window loop", window_loop
    yield WARP, gdal_warp
    yield WARPED, partial(skymill_tiles, warp=Warp(crs=WARP_CRS))
    if importlib.util.find_spec("torchgeo"):
        yield TORCHGEO, torchgeo_sampler


def measure(path: Path, tile_px: int, turns: int) -> dict[str, list[float]]:
    """Returns the seconds of each way, by turn."""
    seconds: dict[str, list[float]] = {name: [] for name, _ in ways()}
    path.read_bytes()
    for _ in range(turns):
        for name, way in ways():
            start = time.perf_counter()
            way(path, tile_px)
            seconds[name].append(time.perf_counter() - start)
    return seconds


def report(seconds: dict[str, list[float]], raw_bytes: int) -> str:
    """Formats a line for each way: its best rate and its share of the limit."""
    limits = [min(pair) for pair in zip(*list(seconds.values())[:2], strict=True)]
    lines = [f"{'':30} {'best MB/s':>10} {'of the limit':>13}"]
    for name, taken in seconds.items():
        share = statistics.median(limit / one for limit, one in zip(limits, taken, strict=True))
        lines.append(f"{name:30} {raw_bytes / 1e6 / min(taken):10.0f} {share:13.2f}")
    warp = statistics.median(map(truediv, seconds[WARP], seconds[WARPED]))
    lines.append(f"{WARPED}: {warp:.2f} of the rate of {WARP}")
    if TORCHGEO not in seconds:
        lines.append(f"{TORCHGEO:30} not measured: torchgeo is not installed")
    return "\n".join(lines)


def main() -> None:
    """Makes a scene and compares the ways of reading it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=6144, help="rows and columns")
    parser.add_argument("--bands", type=int, default=4)
    parser.add_argument("--tile", type=int, default=256)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--nodata", type=float, default=None)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="skymill-") as folder:
        path = Path(folder) / "scene.tif"
        make_scene(path, arguments.size, bands=arguments.bands, nodata=arguments.nodata)
        raw = arguments.size**2 * arguments.bands * np.dtype("uint16").itemsize
        print(
            f"{arguments.size} x {arguments.size} x {arguments.bands} uint16, blocks of 512, "
            f"deflate: {raw / 1e6:.0f} MB raw, {path.stat().st_size / 1e6:.0f} MB stored; "
            f"tiles of {arguments.tile}; {CORES} cores; {arguments.turns} turns"
        )
        print(report(measure(path, arguments.tile, arguments.turns), raw))
