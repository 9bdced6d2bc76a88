"""Synthetic scenes of any size, written by rows of blocks to bound memory."""

from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import from_origin
from rasterio.windows import Window

BLOCK_PX = 512


def make_scene(
    path: Path, size_px: int, *, bands: int = 4, nodata: float | None = None, seed: int = 0
) -> None:
    """Writes a tiled, deflated uint16 GeoTIFF of size x size pixels that compresses like land.

    The pixels are smooth hills with sensor noise. One patch of noise is reused with small offsets,
    because drawing fresh noise would take longer than the measurements themselves.
    """
    noise = np.random.default_rng(seed).integers(0, 200, (bands, BLOCK_PX, BLOCK_PX))
    columns = 2000 + 800 * np.sin(np.arange(size_px) / 300)
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=size_px,
        width=size_px,
        count=bands,
        dtype="uint16",
        crs="EPSG:32632",
        transform=from_origin(500_000, 5_300_000, 10, 10),
        tiled=True,
        blockxsize=BLOCK_PX,
        blockysize=BLOCK_PX,
        compress="deflate",
        predictor=2,
        zlevel=1,
        interleave="pixel",
        nodata=nodata,
        num_threads="all_cpus",
        bigtiff="if_safer",
    ) as dataset:
        for row in range(0, size_px, BLOCK_PX):
            height = min(BLOCK_PX, size_px - row)
            rows = 800 * np.cos(np.arange(row, row + height) / 250)
            repeats = -(-size_px // BLOCK_PX)
            patch = np.tile(np.roll(noise, row // 7, axis=1), (1, 1, repeats))
            hills = rows[:, None] + columns[None, :]
            pixels = (hills + patch[:, :height, :size_px]).astype("uint16")
            dataset.write(pixels, window=Window(0, row, size_px, height))
