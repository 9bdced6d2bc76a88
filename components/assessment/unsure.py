"""Blocks of a map where its model is least sure: all that can be reported without labels."""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from components.assessment.class_map import opened_raster
from components.assessment.estimators import Floats
from components.assessment.strata import confidence_rows
from components.raster.errors import ConfigError, DataError
from components.raster.scene.gdal import grid_of
from components.raster.scene.grid import Grid
from components.raster.strict_json import strict_json


@dataclass(frozen=True)
class UnsureBlock:
    """A square of a map, and the mean confidence of its pixels with an answer."""

    row: int
    column: int
    height: int
    width: int
    confidence: float
    pixels: int


def least_sure(path: Path, block_px: int, count: int) -> list[UnsureBlock]:
    """Finds the blocks of lowest mean confidence, least first.

    Raises:
        DataError: the raster cannot be read, or has no confidence.
        ConfigError: a block has no size.
    """
    if block_px < 1:
        raise ConfigError("a block is at least one pixel wide")
    sums: dict[tuple[int, int], tuple[float, int]] = {}
    with opened_raster(path) as dataset:
        rows, cols = dataset.height, dataset.width
        for row in range(0, rows, block_px):
            height = min(block_px, rows - row)
            values = confidence_rows(dataset, row, height)
            _add_rows(sums, row, values, block_px)
    blocks = [
        UnsureBlock(
            row,
            col,
            min(block_px, rows - row),
            min(block_px, cols - col),
            total / pixels,
            pixels,
        )
        for (row, col), (total, pixels) in sums.items()
    ]
    if not blocks:
        raise DataError(f"{path} knows no confidence of any pixel.")
    return sorted(blocks, key=lambda block: (block.confidence, block.row, block.column))[:count]


def _add_rows(
    sums: dict[tuple[int, int], tuple[float, int]], row: int, values: Floats, block_px: int
) -> None:
    """Sums the confidences of one row of blocks."""
    starts = np.arange(0, values.shape[1], block_px)
    known = np.isfinite(values)
    totals = np.add.reduceat(np.where(known, values, 0.0).sum(axis=0), starts)
    counts = np.add.reduceat(known.sum(axis=0), starts)
    for place in np.flatnonzero(counts).tolist():
        sums[row, int(starts[place])] = float(totals[place]), int(counts[place])


def geojson_of(path: Path, blocks: list[UnsureBlock]) -> str:
    """Formats blocks as polygons in longitude and latitude.

    Raises:
        DataError: the raster has no CRS.
    """
    with opened_raster(path) as dataset:
        grid = grid_of(dataset)
    if grid.crs is None:
        raise DataError(f"{path} has no CRS, so that its blocks have no place for GeoJSON.")
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": [_ring(grid, block)]},
            "properties": {"rank": rank, "confidence": block.confidence, "pixels": block.pixels},
        }
        for rank, block in enumerate(blocks, 1)
    ]
    return strict_json({"type": "FeatureCollection", "features": features}, indent=1)


def _ring(grid: Grid, block: UnsureBlock) -> list[list[float]]:
    """Returns the closed outline, counter-clockwise (RFC 7946)."""
    rows = np.array([0, 1, 1, 0, 0], np.float64) * block.height + block.row
    cols = np.array([0, 0, 1, 1, 0], np.float64) * block.width + block.column
    lons, lats = grid.to_lonlat(rows, cols)
    ring = [
        [round(lon, 8), round(lat, 8)]
        for lon, lat in zip(lons.tolist(), lats.tolist(), strict=True)
    ]
    doubled = sum(a[0] * b[1] - b[0] * a[1] for a, b in pairwise(ring))
    return ring if doubled > 0 else ring[::-1]
