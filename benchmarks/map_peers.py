"""One other way to get the tiles of a scene, measured by itself; `benchmarks.maps` runs it.

It imports nothing of Skymill, so that an environment with TorchGeo alone can run it:

    PYTHON -I benchmarks/map_peers.py windows|torchgeo SCENE TILE_PX STRIDE_PX

- windows: reads tile by tile by rasterio, with GDAL's own settings.
- torchgeo: `GridGeoSampler` over a `RasterDataset`, by a `DataLoader` in this process.

Prints seconds of clock and processor, megabytes at the peak, and versions as JSON; imports do not
count.
"""

import json
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

_BATCH = 16


def windows(path: str, size_px: int, stride_px: int) -> Callable[[], None]:
    """Reads tiles one by one."""
    import rasterio
    from rasterio.windows import Window

    def run() -> None:
        with rasterio.open(path) as dataset:
            for row in _starts(dataset.height, size_px, stride_px):
                for col in _starts(dataset.width, size_px, stride_px):
                    dataset.read(window=Window(col, row, size_px, size_px))

    return run


def torchgeo(path: str, size_px: int, stride_px: int) -> Callable[[], None]:
    """Takes tiles from a grid sampler."""
    from torch.utils.data import DataLoader
    from torchgeo.datasets import RasterDataset, stack_samples
    from torchgeo.samplers import GridGeoSampler

    def run() -> None:
        dataset = RasterDataset(paths=[path])
        sampler = GridGeoSampler(dataset, size=size_px, stride=stride_px)
        for _ in DataLoader(dataset, _BATCH, sampler=sampler, collate_fn=stack_samples):
            pass

    return run


def _starts(length: int, size_px: int, stride_px: int) -> list[int]:
    return sorted({*range(0, length - size_px, stride_px), length - size_px})


#: Ways by their names: each imports what it needs and returns what is measured.
SIDES = {"windows": windows, "torchgeo": torchgeo}


def main() -> None:
    """Prints what one side costs."""
    side, path, *numbers = sys.argv[1:]
    run = SIDES[side](path, *map(int, numbers))
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    cost = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    peak = Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]
    package = version("rasterio" if side == "windows" else side)
    print(json.dumps({**cost, "peak_mb": int(peak) / 1024, "version": package}))


if __name__ == "__main__":
    main()
