"""Ground area of a map's pixels, on the ellipsoid of WGS 84."""

from functools import lru_cache
from typing import Any

import numpy as np

from components.assessment.estimators import Floats
from components.raster.scene.grid import Grid

#: Points along each edge of a window: an edge is straight on the map and curved on the ellipsoid.
_POINTS_PER_EDGE = 16


def window_area_m2(grid: Grid, row: int, col: int, height: int, width: int) -> float:
    """Computes a window's area on the ground in square metres, regardless of the grid's CRS.

    The window's outline is projected to longitude and latitude and its geodesic area is computed
    (Karney 2013, as implemented by PROJ), so the CRS need not preserve area; Web Mercator does not.
    """
    steps = np.linspace(0, 1, _POINTS_PER_EDGE, endpoint=False)
    down, right = row + steps * height, col + steps * width
    rows = np.concatenate(
        [np.full_like(steps, row), down, np.full_like(steps, row + height), _up(row, height, steps)]
    )
    cols = np.concatenate(
        [right, np.full_like(steps, col + width), _up(col, width, steps), np.full_like(steps, col)]
    )
    lons, lats = grid.to_lonlat(rows, cols)
    area, _ = _ellipsoid().polygon_area_perimeter(lons, lats)
    return abs(float(area))


def _up(start: int, length: int, steps: Floats) -> Floats:
    return start + length - steps * length


@lru_cache(maxsize=1)
def _ellipsoid() -> Any:
    from pyproj import Geod

    return Geod(ellps="WGS84")
