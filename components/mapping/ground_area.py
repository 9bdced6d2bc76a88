"""Areas of polygons on the ground, on the ellipsoid of WGS 84."""

import numpy as np
import numpy.typing as npt
import shapely

from components.raster.scene.grid import Floats, Grid, crs_of, reproject

Geometries = npt.NDArray[np.object_]

#: Largest area distortion of a CRS that is ignored: UTM has 0.2 %, a polar stereographic
#: projection 5 %.
_TOLERANCE = 0.0025
#: Parts into which an edge as long as the grid is divided: an edge is straight on the map and
#: curved on the ground.
_PARTS = 64
#: Points along each axis where areas are compared.
_STEPS = 8


def ground_m2(geometries: Geometries, grid: Grid, crs: str) -> Floats:
    """Computes the area of polygons on the ground in square metres.

    Args:
        geometries: (N,) of shapely, in the coordinates of `crs`.
        grid: on which they lie.
        crs: of the grid.

    Returns:
        (N,); NaN for a polygon that reaches a point without an area, such as the antipode of the
        grid's centre.
    """
    target = _equal_area(grid, crs)
    if not _is_true_to_area(grid, crs, target):
        longest = max(np.multiply(grid.gsd, (grid.height_px, grid.width_px)))
        geometries = shapely.transform(
            shapely.segmentize(geometries, longest / _PARTS),
            lambda at: np.stack(reproject(crs, target, *at.T), axis=1),
        )
    return np.asarray(shapely.area(geometries), np.float64)


def _equal_area(grid: Grid, crs: str) -> str:
    """Returns an equal-area projection around the grid, as PROJ writes it."""
    if crs_of(crs).is_geographic:
        # Cylindrical: meridians and parallels stay straight, and longitudes run on past 180.
        return "+proj=cea +datum=WGS84 +over +units=m"
    middle = np.array([[grid.height_px / 2], [grid.width_px / 2]])
    [lon], [lat] = grid.to_lonlat(*middle)
    return f"+proj=laea +lon_0={lon} +lat_0={lat} +datum=WGS84 +units=m"


def _is_true_to_area(grid: Grid, crs: str, target: str) -> bool:
    """Checks whether areas in units of the CRS are square metres on the ground everywhere."""
    steps = np.linspace(0, 1, _STEPS + 1)
    rows, cols = np.meshgrid(steps * grid.height_px, steps * grid.width_px, indexing="ij")
    xs, ys = grid.to_map(rows, cols)
    own, true = _cell_areas(xs, ys), _cell_areas(*reproject(crs, target, xs, ys))
    return bool((np.abs(own - true) <= _TOLERANCE * true).all())


def _cell_areas(xs: Floats, ys: Floats) -> Floats:
    """Returns the areas of the cells of a lattice of points, by their diagonals."""
    first = xs[1:, 1:] - xs[:-1, :-1], ys[1:, 1:] - ys[:-1, :-1]
    second = xs[:-1, 1:] - xs[1:, :-1], ys[:-1, 1:] - ys[1:, :-1]
    areas: Floats = np.abs(first[0] * second[1] - first[1] * second[0]) / 2
    return areas
