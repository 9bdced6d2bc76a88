"""Grid of nearly square blocks over the whole earth, in metres.

Blocks are those of an integerised sinusoidal grid: rows of equal height, each divided into a whole
number of equal blocks (Rossow and Garder 1984; MODIS level 3 uses the same idea). A block's index
is computed from longitude and latitude alone, without a projection, a zone or the extent of any
data, so a new scene never moves an old tile. Heights and widths are those of the authalic sphere
and differ by less than 1 % from the ellipsoid's; near the poles, where a row has only a few blocks,
widths differ more.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from components.raster.scene.grid import Floats

EARTH_RADIUS_M = 6_371_007.181
#: Shortest degree of latitude on WGS 84 (at the equator).
_DEGREE_OF_LATITUDE_M = 110_574.0
#: Lower bound of a degree of longitude at the equator.
_DEGREE_OF_LONGITUDE_M = 111_319.0

Rows = npt.NDArray[np.int64]
Block = tuple[int, int]


def rows_of(lats: Floats, block_m: float) -> Rows:
    """Returns rows of blocks, from 0 at the south pole."""
    last = int(np.ceil(np.pi * EARTH_RADIUS_M / block_m)) - 1
    rows = np.floor(np.radians(lats + 90) * EARTH_RADIUS_M / block_m).astype(np.int64)
    return np.clip(rows, 0, last)


def blocks_in_row(rows: Rows, block_m: float) -> Rows:
    """Returns the number of blocks around the earth in each row."""
    middle = (rows + 0.5) * block_m / EARTH_RADIUS_M - np.pi / 2
    around = 2 * np.pi * EARTH_RADIUS_M * np.cos(middle) / block_m
    return np.maximum(np.round(around), 1).astype(np.int64)


def blocks_of(lons: Floats, lats: Floats, block_m: float) -> tuple[Rows, Rows]:
    """Returns the (row, column) of each point's block. NaN is not allowed.

    >>> rows, cols = blocks_of(np.array([11.5, 11.6]), np.array([48.1, 48.1]), block_m=10_000)
    >>> rows.tolist(), cols.tolist()
    ([1535, 1535], [1422, 1423])
    """
    rows = rows_of(lats, block_m)
    return rows, _columns(lons, blocks_in_row(rows, block_m))


def block_name(block: Block, block_m: float) -> str:
    """Returns the name of a block of a grid."""
    return f"{block_m:g}/{block[0]}/{block[1]}"


def blocks_under(
    west: float, south: float, east: float, north: float, block_m: float
) -> Iterator[Block]:
    """Yields every block that intersects a box in degrees, which may cross the date line."""
    first, last = rows_of(np.array([south, north]), block_m).tolist()
    for row in range(first, last + 1):
        around = int(blocks_in_row(np.array([row]), block_m)[0])
        start = int(np.floor((west + 180) / 360 * around))
        end = int(np.floor((east + 180) / 360 * around))
        for col in range(start, min(end, start + around - 1) + 1):
            yield row, col % around


def extents(corners: Floats, margin_m: float) -> tuple[Floats, Floats, Floats, Floats]:
    """Computes boxes (west, south, east, north) in degrees around footprints, wider by a margin.

    Longitudes continue past 180 if a footprint crosses the date line. The margin is never less than
    requested.
    """
    lons, lats = corners[..., 0].copy(), corners[..., 1]
    lons += np.round((lons[:, :1] - lons) / 360) * 360
    south = np.maximum(lats.min(axis=1) - margin_m / _DEGREE_OF_LATITUDE_M, -90)
    north = np.minimum(lats.max(axis=1) + margin_m / _DEGREE_OF_LATITUDE_M, 90)
    narrowest = np.cos(np.radians(np.maximum(np.abs(south), np.abs(north))))
    wider = margin_m / (_DEGREE_OF_LONGITUDE_M * np.maximum(narrowest, 1e-6))
    wider = np.minimum(wider, 180)
    return lons.min(axis=1) - wider, south, lons.max(axis=1) + wider, north


def _columns(lons: Floats, around: Rows) -> Rows:
    columns: Rows = np.floor((lons + 180) / 360 * around).astype(np.int64) % around
    return columns
