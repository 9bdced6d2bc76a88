"""Shares of a tile's area that labelled shapes cover.

Area covered by several shapes of one class counts once. Where shapes of different classes overlap,
each has its share; at a point, the later one in the file lies on top.
"""

import numpy as np
import shapely

from components.raster.errors import ConfigError
from components.raster.labels.shapes import PlacedShapes
from components.raster.tiles.key import Window


def shares(shapes: PlacedShapes, window: Window) -> dict[int, float]:
    """Computes each class's share (0 to 1) of a window's area; for points, of its points."""
    found = shapes.in_window(window)
    points = shapes.is_point[found]
    if points.all():
        classes, counts = np.unique(shapes.classes[found], return_counts=True)
        return {int(c): float(n) / len(found) for c, n in zip(classes, counts, strict=True)}
    box = shapely.box(window.col, window.row, window.right, window.bottom)
    parts = shapely.intersection(shapes.geometries[found], box)
    classes = shapes.classes[found]
    return {
        int(index): float(shapely.union_all(parts[classes == index]).area) / window.area_px
        for index in np.unique(classes[~points])
    }


def top_at_centre(shapes: PlacedShapes, window: Window) -> int | None:
    """Returns the index of the last shape that covers a window's centre."""
    if shapes.is_point.any():
        raise ConfigError("Points have no ground, so none lies at a centre. Use majority or any.")
    centre = shapely.Point(window.col + window.width / 2, window.row + window.height / 2)
    found = shapes.in_window(window)
    covering = found[shapely.covers(shapes.geometries[found], centre)]
    return int(covering[-1]) if len(covering) else None
