"""Geometries in degrees around the date line, where one meridian has two longitudes.

RFC 7946 cuts geometries that cross it into parts on both sides. Other files let longitudes jump
from 179 to -179 within a ring, or continue past 180, as rasters do.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from components.raster.scene.stac_query import Bounds


def box_of(bounds: Bounds) -> shapely.Polygon:
    """Returns a box as a polygon, which continues east of 180 if it crosses the date line."""
    west, south, east, north = bounds
    return shapely.box(west, south, east + 360 if west > east else east, north)


def shares_ground(geometry: shapely.Geometry, box: shapely.Polygon) -> bool:
    """Checks whether a geometry and a box in degrees meet anywhere on the earth."""
    west, _, east, _ = box.bounds
    return bool(shapely.intersects(turned_to(geometry, west, east), box))


def turned_to(geometry: Any, west: float, east: float) -> Any:
    """Shifts the longitudes of a geometry, or of each of an array, into a range of longitudes.

    Rings whose longitudes jump at the date line are made to continue past it. Parts that fall into
    the range after a shift by a multiple of 360 degrees are moved there, and repeated if several
    shifts do so. Parts that never fall into the range stay where they are.

    Args:
        geometry: in degrees, longitude first.
        west: where the range begins.
        east: where it ends; may be past 180.
    """
    if isinstance(geometry, shapely.Geometry):
        return _turned(geometry, west, east)
    left, right = shapely.bounds(geometry).T[[0, 2]]
    with np.errstate(invalid="ignore"):
        affected = right - left > 180
        for turn in (-360, 360):
            affected |= (right + turn >= west) & (left + turn <= east)
        affected &= np.isfinite(right - left)
    found = geometry.copy()
    for place in np.flatnonzero(affected).tolist():
        found[place] = _turned(geometry[place], west, east)
    return found


def _turned(geometry: shapely.Geometry, west: float, east: float) -> shapely.Geometry:
    if not np.isfinite(shapely.bounds(geometry)).all():
        return geometry
    parts = []
    for part in shapely.get_parts(geometry):
        part = _running_on(part) if isinstance(part, shapely.Polygon) else part
        left, _, right, _ = shapely.bounds(part)
        turns = [it for it in (-360, 0, 360) if right + it >= west and left + it <= east]
        parts += [_moved(part, turn) for turn in turns or [0]]
    if len(parts) == 1:
        return parts[0]
    return shapely.union_all(parts)


def _running_on(polygon: shapely.Polygon) -> shapely.Polygon:
    """Removes the jumps of a polygon's longitudes at the date line."""
    left, _, right, _ = shapely.bounds(polygon)
    # A jump of all 360 degrees is the edge of a map of the whole earth.
    if polygon.is_empty or not 180 < right - left < 360:
        return polygon
    shell = _ring(polygon.exterior)
    middle = (shell[:, 0].min() + shell[:, 0].max()) / 2
    holes = [_ring(hole) for hole in polygon.interiors]
    for hole in holes:
        hole[:, 0] += 360 * np.round((middle - hole[:, 0].mean()) / 360)
    return shapely.Polygon(shell, holes)


def _ring(ring: shapely.LinearRing) -> npt.NDArray[np.float64]:
    """Returns a ring's coordinates without jumps; unchanged if it goes around a pole."""
    points = shapely.get_coordinates(ring)
    steps = np.diff(points[:, 0])
    turns = np.where(np.abs(steps) > 180, -360 * np.sign(steps), 0).cumsum()
    if turns[-1] == 0:
        points[1:, 0] += turns
    return points


def _moved(part: shapely.Geometry, degrees: float) -> shapely.Geometry:
    step = np.array([degrees, 0])
    return shapely.transform(part, lambda points: points + step) if degrees else part
