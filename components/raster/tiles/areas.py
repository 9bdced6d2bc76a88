"""An area of interest, brought into the pixel coordinates of a grid."""

import numpy as np
import shapely

from components.raster.errors import ConfigError
from components.raster.scene.grid import LONLAT, Floats, Grid, reproject
from components.raster.scene.rejects import SceneRefusal, SceneRejected


def geometry_in_pixels(geometry: shapely.Geometry, crs: str | None, grid: Grid) -> shapely.Geometry:
    """A geometry (or an array of them) in pixel coordinates: x is the column, y is the row.

    Vertices are projected one by one, and edges between them stay straight in pixel space.

    Args:
        geometry: shapely geometry, or a numpy array of them.
        crs: of the geometry; None says that it has the grid's own coordinates.
        grid: whose pixels count. Without a CRS of its own it takes coordinates as they are.
    """

    def to_pixels(points: Floats) -> Floats:
        xs, ys = points[:, 0], points[:, 1]
        if crs is not None and grid.crs is not None:
            xs, ys = reproject(crs, grid.crs, xs, ys)
        rows, cols = grid.to_pixels(xs, ys)
        points[:, 0], points[:, 1] = cols, rows
        return points

    return shapely.transform(geometry, to_pixels)


def area_in_pixels(
    scene_id: str, grid: Grid, area: shapely.Geometry, crs: str = LONLAT
) -> shapely.Geometry:
    """An area of interest in pixel coordinates, cut to the scene.

    Raises:
        SceneRejected: the area and the scene share no ground, or the scene has no CRS.
        ConfigError: the area is empty or not valid.
    """
    if area.is_empty or not shapely.is_valid(area):
        raise ConfigError(
            f"The area of interest is {shapely.is_valid_reason(area)}. Repair its geometry."
        )
    if grid.crs is None:
        raise SceneRejected(
            scene_id, SceneRefusal.NO_CRS, "without one it cannot be compared with an area."
        )
    scene = shapely.box(0, 0, grid.width_px, grid.height_px)
    # Long edges curve between two projections, so they are followed in small steps.
    fine = shapely.segmentize(area, max(_longest_side(area) / 64, 1e-9))
    moved = geometry_in_pixels(fine, crs, grid)
    known = bool(np.isfinite(moved.bounds).all())
    found = shapely.intersection(shapely.make_valid(moved), scene) if known else shapely.Polygon()
    if found.is_empty or not found.area:
        raise SceneRejected(
            scene_id, SceneRefusal.OUTSIDE_AREA, "it shares no ground with the area of interest."
        )
    return found


def _longest_side(area: shapely.Geometry) -> float:
    left, bottom, right, top = area.bounds
    return float(max(right - left, top - bottom))
