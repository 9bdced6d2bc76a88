"""Areas of interest in the pixel coordinates of a grid."""

import numpy as np
import shapely

from components.raster.errors import ConfigError
from components.raster.library_errors import translated
from components.raster.reasons import Reason
from components.raster.scene.date_line import turned_to
from components.raster.scene.grid import LONLAT, Floats, Grid, crs_of, reproject
from components.raster.scene.rejects import SceneRejected


def geometry_in_pixels(geometry: shapely.Geometry, crs: str | None, grid: Grid) -> shapely.Geometry:
    """Converts a geometry (or an array of them) to pixel coordinates: x is column, y is row.

    Vertices are projected one by one, and edges between them stay straight in pixel space. Those
    outside the domain of the grid's CRS become infinity. On a grid in degrees a geometry gets the
    longitudes of the grid, also past 180.

    Args:
        geometry: shapely geometry, or a numpy array of them.
        crs: of the geometry; None for the grid's own coordinates.
        grid: of the pixels. Without a CRS, coordinates are taken as they are.

    Raises:
        CrsError: the geometry's CRS cannot be transformed to the grid's.
    """

    def to_map(points: Floats) -> Floats:
        if crs is None or grid.crs is None:
            return points
        return np.stack(reproject(crs, grid.crs, points[:, 0], points[:, 1]), axis=1)

    def to_pixels(points: Floats) -> Floats:
        known = np.isfinite(points[:, :1]) & np.isfinite(points[:, 1:])
        rows, cols = grid.to_pixels(*np.where(known, points, 0).T)
        return np.where(known, np.stack([cols, rows], axis=1), np.inf)

    if not grid.is_geographic:
        return shapely.transform(geometry, lambda points: to_pixels(to_map(points)))
    west, _, east, _ = grid.bounds(0, 0, grid.height_px, grid.width_px)
    return shapely.transform(turned_to(shapely.transform(geometry, to_map), west, east), to_pixels)


def area_in_pixels(
    scene_id: str, grid: Grid, area: shapely.Geometry, crs: str = LONLAT
) -> shapely.Geometry:
    """Converts an area of interest to pixel coordinates, clipped to the scene.

    Raises:
        SceneRejected: the area and the scene do not overlap, or the scene has no CRS.
        ConfigError: the area is empty or not valid.
    """
    if area.is_empty or not shapely.is_valid(area):
        raise ConfigError(
            f"The area of interest is {shapely.is_valid_reason(area)}. Repair its geometry."
        )
    if grid.crs is None:
        raise SceneRejected(
            scene_id, Reason.NO_CRS, "without one it cannot be compared with an area."
        )
    scene = shapely.box(0, 0, grid.width_px, grid.height_px)
    with translated(lambda why: _outside(scene_id, f"the area cannot be laid on it: {why}.")):
        # Long edges are curved in another projection, so they are followed in small steps.
        near = _near(area, crs, grid)
        fine = shapely.segmentize(near, max(_longest_side(near) / 64, 1e-9))
        moved = geometry_in_pixels(fine, crs, grid)
        known = bool(np.isfinite(moved.bounds).all())
        whole = shapely.make_valid(moved) if known else shapely.Polygon()
        found = shapely.intersection(whole, scene)
    if found.is_empty or not found.area:
        raise _outside(scene_id, "it shares no ground with the area of interest.")
    return found


def _outside(scene_id: str, detail: str) -> SceneRejected:
    return SceneRejected(scene_id, Reason.OUTSIDE_AREA, detail)


def _near(area: shapely.Geometry, crs: str, grid: Grid) -> shapely.Geometry:
    """Clips an area to a scene's surroundings: its CRS may not cover distant parts."""
    assert grid.crs is not None
    xs, ys = reproject(grid.crs, crs, *grid.sampled())
    if not (np.isfinite(xs) & np.isfinite(ys)).all():
        return area
    if crs_of(crs).is_geographic:
        xs = xs + np.round((xs.flat[0] - xs) / 360) * 360
    margin = max(np.ptp(xs), np.ptp(ys))
    west, east = float(xs.min() - margin), float(xs.max() + margin)
    if crs_of(crs).is_geographic:
        area = turned_to(area, west, east)
    return shapely.intersection(area, shapely.box(west, ys.min() - margin, east, ys.max() + margin))


def _longest_side(area: shapely.Geometry) -> float:
    if area.is_empty:
        return 0.0
    left, bottom, right, top = area.bounds
    return float(max(right - left, top - bottom))
