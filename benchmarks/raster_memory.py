"""Peak memory of reading scenes of growing size as tiles: it must not grow with the scene.

Each size is read in a process of its own, whose peak resident memory Linux reports.

    python -m benchmarks raster_memory [--sizes 2000 6300 20000] [--tile 256]
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.made_scene import make_scene
from benchmarks.sides import peak_memory_mb
from components.raster.scene.probe import open_scene
from components.raster.scene.scene import BandFile, SceneSource
from components.raster.tiles.parts import plan_parts
from components.raster.tiles.reading import read_tiles
from components.raster.tiles.tiling import Tiling, plan_tiles
from components.raster.tiles.view import view_scene

PART_COUNT = 4


def read_scene(path: Path, tile_px: int) -> int:
    """Reads all tiles of a scene part by part and returns their number."""
    view = view_scene(open_scene(SceneSource("scene", (BandFile(str(path)),))))
    plan = plan_tiles("scene", view.grid, Tiling(size_px=tile_px))
    parts = plan_parts(plan, PART_COUNT, view.block_shape, view.block_shift)
    return sum(1 for part in parts for _ in read_tiles(view, part))


def peak_mb(path: Path, tile_px: int) -> float:
    """Returns the peak resident memory (MB) of a process that reads a scene."""
    command = [sys.executable, "-m", "benchmarks", "raster_memory", "--read", str(path)]
    command += ["--tile", str(tile_px)]
    root = Path(__file__).resolve().parent.parent
    run = subprocess.run(command, check=True, capture_output=True, text=True, cwd=root)
    return float(run.stdout)


def main() -> None:
    """Makes scenes of growing size and prints the peak memory of reading each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[2000, 6300, 20000])
    parser.add_argument("--tile", type=int, default=256)
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.read:
        read_scene(arguments.read, arguments.tile)
        print(peak_memory_mb())
        return
    for size in arguments.sizes:
        with tempfile.TemporaryDirectory(prefix="skymill-") as folder:
            path = Path(folder) / "scene.tif"
            make_scene(path, size)
            raw_mb = size**2 * 8 / 1e6
            peak = peak_mb(path, arguments.tile)
            print(f"{size:6} x {size:<6} {raw_mb:8.0f} MB raw {peak:8.0f} MB peak", flush=True)
