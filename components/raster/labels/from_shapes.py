"""Targets of a tile from labelled shapes, each by a configured rule.

Shares are of the tile's ground, and ground that several shapes of one class cover counts once.
Where shapes of different classes overlap, each has its share in `majority`, `any` and `fraction`;
for `centre` and in masks the later one of the file lies on top.
"""

from typing import Literal

import numpy as np
import numpy.typing as npt
import shapely
from affine import Affine
from rasterio.features import rasterize

from components.raster.errors import ConfigError
from components.raster.labels.shapes import PlacedShapes
from components.raster.labels.targets import Boxes, MaskPixels, Rule, as_mask, ignore_value
from components.raster.tiles.key import Window
from components.raster.tiles.valid_mask import Mask

#: Coverage of a pixel is counted on this many lines each way.
SUBPIXELS = 8


def shares(shapes: PlacedShapes, window: Window) -> dict[int, float]:
    """Computes each class's share (0 to 1) of a window's ground; for points, of its points."""
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


def tile_class(
    shapes: PlacedShapes, window: Window, rule: Literal["majority", "centre"]
) -> int | None:
    """Returns one class for a tile; None when it has none.

    majority: the class with the largest share, if that is more than what no shape covers; of two
    with the same share, the first. For points: the class of most of them.
    centre: the class of the shape that lies on top at the tile's centre.
    """
    if rule == "centre":
        top = _at_centre(shapes, window)
        return None if top is None else int(shapes.classes[top])
    covered = shares(shapes, window)
    if not covered:
        return None
    best = max(sorted(covered), key=lambda index: covered[index])
    empty = 0.0 if shapes.is_point.all() else 1.0 - min(sum(covered.values()), 1.0)
    return best if covered[best] > empty else None


def tile_classes(
    shapes: PlacedShapes,
    window: Window,
    rule: Literal["any", "fraction"],
    min_fraction: float = 0.0,
) -> tuple[int, ...]:
    """Returns every class that shares ground with a tile (`any`), or a least share (`fraction`)."""
    least = min_fraction if rule == "fraction" else 0.0
    covered = shares(shapes, window)
    return tuple(sorted(index for index, share in covered.items() if share >= least and share))


def tile_number(
    shapes: PlacedShapes, window: Window, rule: Literal["mean", "centre", "count"]
) -> float | None:
    """Returns a number for a tile; None when no shape provides one.

    mean: of the shapes' numbers, weighted by the ground they share with the tile (points: plain).
    centre: of the shape on top at the centre. count: how many shapes share ground with it.
    """
    if rule == "centre":
        top = _at_centre(shapes, window)
        return None if top is None else float(shapes.values[top])
    found = shapes.in_window(window)
    if rule == "count":
        return float(len(found))
    if not len(found):
        return None
    box = shapely.box(window.col, window.row, window.right, window.bottom)
    weights = shapely.area(shapely.intersection(shapes.geometries[found], box))
    weights = np.where(shapes.is_point[found], 1.0, weights)
    return float(np.average(shapes.values[found], weights=weights))


def tile_boxes(
    shapes: PlacedShapes,
    window: Window,
    *,
    min_visible: float = 0.25,
    point_size_px: float | None = None,
) -> Boxes:
    """Returns the objects of a tile: the bounds of each object's part inside it.

    Args:
        shapes: polygons (or boxes), one for each object; points need a size.
        window: the tile.
        min_visible: objects with a smaller share of their ground in the tile are left out.
        point_size_px: side of the square that stands for a point.

    Raises:
        ConfigError: there are points and no size.
    """
    found = shapes.in_window(window)
    whole = shapes.geometries[found].copy()
    points = shapes.is_point[found]
    if points.any():
        if point_size_px is None:
            raise ConfigError("Boxes from points need point_size_px, the side of each box.")
        whole[points] = shapely.buffer(whole[points], point_size_px / 2, cap_style="square")
    box = shapely.box(window.col, window.row, window.right, window.bottom)
    parts = shapely.intersection(whole, box)
    visible = shapely.area(parts) / np.maximum(shapely.area(whole), np.finfo(np.float64).tiny)
    kept = (visible >= min_visible) & (shapely.area(parts) > 0)
    left, top, right, bottom = shapely.bounds(parts[kept]).reshape(-1, 4).T
    edges = [top - window.row, left - window.col, bottom - window.row, right - window.col]
    return Boxes(
        edges_px=np.stack(edges, axis=1).astype(np.float32),
        classes=shapes.classes[found][kept],
        visible=np.minimum(visible[kept], 1.0).astype(np.float32),
    )


def tile_mask(
    shapes: PlacedShapes,
    window: Window,
    class_count: int,
    *,
    rule: Rule = "centre",
    min_fraction: float = 0.5,
    background: int | None = None,
    valid: Mask | None = None,
) -> MaskPixels:
    """Returns a class for every pixel of a tile, (H, W).

    Args:
        shapes: polygons; points only count under `any`.
        window: the tile.
        class_count: of the run; decides dtype and ignore value (`targets.ignore_value`).
        rule: which shape a pixel gets. centre: the one at its centre; any: one that touches it;
            majority: the class with the largest share of it, if that is more than what no shape
            covers; fraction: the class with the largest share, if that is at least min_fraction.
        min_fraction: for the rule `fraction`.
        background: class of ground that no shape covers; None makes that ground ignored.
        valid: pixels that are not valid are ignored whatever covers them.
    """
    empty = ignore_value(class_count) if background is None else background
    found = shapes.in_window(window)
    geometries, classes = shapes.geometries[found], shapes.classes[found]
    if rule in ("majority", "fraction"):
        mask = _by_share(geometries, classes, window, empty, rule, min_fraction)
    else:
        burned = _burn(geometries, classes, window, 1, all_touched=rule == "any")
        mask = np.where(burned == 0, empty, burned.astype(np.int64) - 1)
    if valid is not None:
        mask = np.where(valid, mask, ignore_value(class_count))
    return as_mask(mask, class_count)


def _burn(
    geometries: npt.NDArray[np.object_],
    classes: npt.NDArray[np.int64],
    window: Window,
    finer: int,
    *,
    all_touched: bool = False,
) -> npt.NDArray[np.uint32]:
    """Rasterizes class index + 1 at every (sub)pixel, 0 where there is no shape."""
    shape = (window.height * finer, window.width * finer)
    if not len(geometries):
        return np.zeros(shape, np.uint32)
    place = Affine.translation(window.col, window.row) * Affine.scale(1 / finer)
    burned: npt.NDArray[np.uint32] = rasterize(
        zip(geometries.tolist(), (classes + 1).tolist(), strict=True),
        out_shape=shape,
        transform=place,
        all_touched=all_touched,
        dtype="uint32",
    )
    return burned


def _by_share(
    geometries: npt.NDArray[np.object_],
    classes: npt.NDArray[np.int64],
    window: Window,
    empty: int,
    rule: Rule,
    min_fraction: float,
) -> npt.NDArray[np.int64]:
    """Returns the class with the largest share of every pixel, counted on a grid of subpixels."""
    burned = _burn(geometries, classes, window, SUBPIXELS)
    cells = burned.reshape(window.height, SUBPIXELS, window.width, SUBPIXELS)
    mask = np.full((window.height, window.width), empty, np.int64)
    uncovered = (cells == 0).mean(axis=(1, 3))
    least = uncovered if rule == "majority" else np.full_like(uncovered, min_fraction)
    best = np.zeros_like(uncovered)
    for index in np.unique(classes).tolist():
        share = (cells == index + 1).mean(axis=(1, 3))
        enough = share > least if rule == "majority" else share >= least
        chosen = (share > best) & enough
        mask[chosen] = index
        best = np.maximum(best, share)
    return mask


def _at_centre(shapes: PlacedShapes, window: Window) -> int | None:
    """Returns the index of the last shape that covers a window's centre."""
    if shapes.is_point.any():
        raise ConfigError("Points have no ground, so none lies at a centre. Use majority or any.")
    centre = shapely.Point(window.col + window.width / 2, window.row + window.height / 2)
    found = shapes.in_window(window)
    covering = found[shapely.covers(shapes.geometries[found], centre)]
    return int(covering[-1]) if len(covering) else None
