"""Polygons of a map in longitude and latitude, cut at the date line and closed along the poles.

GDAL converts most polygons correctly. It fills the wrong side of some that contain or touch a pole,
where all meridians meet.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from components.raster.scene.grid import LONLAT, Floats, crs_of, reproject

Geometries = npt.NDArray[np.object_]

#: Least distance of a polygon from a pole on its outline, in units of the CRS: a place on the pole
#: has no longitude.
_POLE_GAP = 0.01
#: Greatest difference of longitude between neighbouring vertices, in degrees.
_STEP_DEG = 5.0
#: Bisections of an edge: enough to pass a pole at `_POLE_GAP` on a grid of the whole earth.
_BISECTIONS = 40
#: Precision of coordinates, a tenth of a millimetre: parts that meet share their vertices.
_GRID_DEG = 1e-9
_HALF_TURN = 180.0


def reaches_a_pole(geometries: Geometries, crs: str) -> npt.NDArray[np.bool_]:
    """Checks for each geometry (N,) whether its bounding box contains a pole."""
    west, south, east, north = shapely.bounds(geometries).T
    found = np.zeros(len(geometries), bool)
    for x, y, _ in _poles(crs):
        inside = (west - _POLE_GAP <= x) & (x <= east + _POLE_GAP)
        found |= inside & (south - _POLE_GAP <= y) & (y <= north + _POLE_GAP)
    return found


def to_lonlat(geometries: Geometries, crs: str) -> Geometries:
    """Converts polygons (N,) to longitude and latitude on WGS 84, as RFC 7946 asks.

    Polygons that cross the date line become several on both sides of it. Edges are not divided
    but around a pole; divide long ones first.
    """
    found = shapely.transform(
        geometries, lambda at: np.stack(reproject(crs, LONLAT, *at.T), axis=1)
    )
    west, _, east, _ = shapely.bounds(found).T
    with np.errstate(invalid="ignore"):
        simple = (west >= -_HALF_TURN) & (east <= _HALF_TURN) & (east - west <= _HALF_TURN)
    for place in np.flatnonzero(~simple | reaches_a_pole(geometries, crs)).tolist():
        found[place] = ground_of(geometries[place], crs)
    return found


def ground_of(geometry: shapely.Geometry, crs: str) -> shapely.Geometry:
    """Converts one polygon, or several, to longitude and latitude on WGS 84, as RFC 7946 asks.

    Vertices that have no place on the earth are left out.
    """
    poles = _poles(crs)
    if crs_of(crs).is_geographic:
        geometry = shapely.segmentize(geometry, _HALF_TURN / 2)
    for x, y, _ in poles:
        pole = shapely.Point(x, y)
        if shapely.dwithin(geometry.boundary, pole, _POLE_GAP):
            geometry = geometry - pole.buffer(_POLE_GAP)
    grounds = []
    for polygon in shapely.get_parts(geometry):
        holes = [_inside(hole, crs, poles) for hole in polygon.interiors]
        grounds.append(_inside(polygon.exterior, crs, poles) - shapely.union_all(holes))
    parts = shapely.get_parts(shapely.get_parts(grounds))
    whole = shapely.union_all(parts[shapely.area(parts) > 0], grid_size=_GRID_DEG)
    return shapely.orient_polygons(whole)


def _poles(crs: str) -> list[tuple[float, float, float]]:
    """Returns x, y and latitude of the poles that a CRS shows as points."""
    if crs_of(crs).is_geographic:
        return []
    latitudes = np.array([90.0, -90.0])
    xs, ys = reproject(LONLAT, crs, np.zeros(2), latitudes)
    found = zip(xs.tolist(), ys.tolist(), latitudes.tolist(), strict=True)
    return [(x, y, latitude) for x, y, latitude in found if np.isfinite((x, y)).all()]


def _inside(ring: Any, crs: str, poles: list[tuple[float, float, float]]) -> shapely.Geometry:
    """Returns what a ring encloses in longitude and latitude, cut at the date line.

    A ring around a pole goes once around the earth, and back along the pole.
    """
    lons, lats = _vertices(shapely.get_coordinates(ring), crs)
    if len(lons) < 3:
        return shapely.Polygon()
    lons, lats = (np.append(it, it[0]) for it in (lons, lats))
    lons = np.unwrap(lons, period=360)
    if abs(lons[-1] - lons[0]) > _HALF_TURN:
        area = shapely.Polygon(ring)
        enclosed = [it for x, y, it in poles if shapely.contains_xy(area, x, y)]
        pole = enclosed[0] if enclosed else float(np.copysign(90, lats.mean()))
        back = np.linspace(lons[-1], lons[0], 9)
        lons, lats = np.append(lons, back), np.append(lats, np.full(len(back), pole))
    ground = shapely.make_valid(shapely.Polygon(np.stack([lons, lats], axis=1)))
    turns = np.arange(np.floor((lons.min() + 180) / 360), np.ceil((lons.max() + 180) / 360)) * 360
    parts = []
    for turn in turns.tolist():
        world = shapely.box(-180 + turn, -90, 180 + turn, 90)
        part = shapely.intersection(ground, world)
        parts.append(shapely.transform(part, lambda at, turn=turn: at - (turn, 0)))
    return shapely.union_all([part for part in parts if part.area], grid_size=_GRID_DEG)


def _vertices(points: Floats, crs: str) -> tuple[Floats, Floats]:
    """Returns longitudes and latitudes along a ring, close enough to see how they run on."""
    for _ in range(_BISECTIONS):
        lons, lats = reproject(crs, LONLAT, *points.T)
        known = np.isfinite(lons) & np.isfinite(lats)
        points, lons, lats = points[known], lons[known], lats[known]
        wide = np.abs((np.diff(lons) + _HALF_TURN) % 360 - _HALF_TURN) > _STEP_DEG
        if crs_of(crs).is_geographic or not wide.any():
            break
        middles = (points[:-1][wide] + points[1:][wide]) / 2
        points = np.insert(points, np.flatnonzero(wide) + 1, middles, axis=0)
    return lons, np.clip(lats, -90, 90)
