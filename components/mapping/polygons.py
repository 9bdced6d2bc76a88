"""Polygons of the areas of each class in a class raster."""

from pathlib import Path

import numpy as np
import rasterio
import rasterio.features
import shapely
import shapely.geometry

from components.mapping.config import PolygonsConfig
from components.mapping.ground_area import ground_m2
from components.mapping.vectors import Features
from components.raster.library_errors import translated
from components.raster.scene.gdal import opened
from components.raster.scene.grid import Grid


def class_polygons(
    path: Path, grid: Grid, classes: tuple[str, ...], config: PolygonsConfig
) -> Features:
    """Returns the polygons of a class raster: pixels of one class that share an edge.

    GDAL reads the raster row by row; memory grows only with the number of polygons.

    Args:
        path: of the raster, values as indices into `classes`.
        grid: of the raster.
        classes: the names.
        config: which polygons are left out, and how they are simplified.
    """
    with opened(str(path), random_access=True) as dataset, translated():
        shapes = rasterio.features.shapes(rasterio.band(dataset, 1), connectivity=4)
        found = [(rings, int(value)) for rings, value in shapes if int(value) < len(classes)]
    geometries = np.array([_polygon(rings["coordinates"]) for rings, _ in found], object)
    indexes = np.array([index for _, index in found], np.int64)
    if found:  # GDAL gives map coordinates; pixel corners are integers
        geometries = shapely.transform(
            geometries, lambda at: np.rint(np.stack(grid.to_pixels(*at.T)[::-1], axis=1))
        )
    pixels = shapely.area(geometries) if found else np.empty(0)
    kept = pixels >= config.min_area_px
    geometries, indexes, pixels = geometries[kept], indexes[kept], pixels[kept]
    if config.simplify_px and len(geometries):
        geometries = shapely.coverage_simplify(geometries, config.simplify_px)
    placed = _on_map(geometries, grid)
    names = np.array(classes, object)[indexes] if len(indexes) else np.empty(0, object)
    columns = {"class": names, "class_index": indexes, "pixels": pixels.astype(np.int64)}
    if grid.crs is not None:
        columns["area_m2"] = ground_m2(placed, grid, grid.crs) if len(placed) else np.empty(0)
    return Features("polygons", "Areas of each class", "Polygon", grid.crs, placed, columns)


def _polygon(rings: list[list[tuple[float, float]]]) -> shapely.Polygon:
    return shapely.Polygon(rings[0], rings[1:])


def _on_map(geometries: np.ndarray, grid: Grid) -> np.ndarray:
    """Converts geometries from pixel coordinates (x = column, y = row) to those of the map."""
    if not len(geometries):
        return geometries
    placed = shapely.transform(
        geometries, lambda points: np.stack(grid.to_map(points[:, 1], points[:, 0]), axis=1)
    )
    return np.asarray(placed, object)
