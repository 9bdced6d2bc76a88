"""Objects in each tile."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
import shapely
from pydantic import Field

from components.raster.errors import ConfigError
from components.raster.frozen import Frozen
from components.raster.labels.shapes import PlacedShapes
from components.raster.labels.targets import Boxes, MaskPixels
from components.raster.task import Task
from components.raster.tiles.key import Window
from components.raster.tiles.valid_mask import Mask
from components.raster.truth.value import Truth


class BoxesTarget(Frozen):
    """Objects in a tile, from shapes or boxes."""

    task: ClassVar[Task] = "detection"
    from_masks: ClassVar[bool] = False
    from_boxes: ClassVar[bool] = True
    reads_numbers: ClassVar[bool] = False
    background: ClassVar[None] = None

    to: Literal["boxes"] = "boxes"
    min_visible: float = Field(
        default=0.25,
        ge=0,
        le=1,
        description="least visible share of an object's area; objects below it are left out",
    )
    point_size_px: float | None = Field(
        default=None, gt=0, description="side of the box around a point"
    )

    def of_shapes(
        self, shapes: PlacedShapes, window: Window, valid: Mask, classes: Sequence[str]
    ) -> Truth:
        """Returns the objects of a tile, possibly none."""
        boxes = tile_boxes(
            shapes, window, min_visible=self.min_visible, point_size_px=self.point_size_px
        )
        return Truth(boxes=boxes)

    def of_mask(self, mask: MaskPixels, classes: Sequence[str]) -> Truth | None:
        """Raises TypeError: masks hold no objects."""
        raise TypeError("masks hold no objects")


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
        min_visible: objects with a smaller share of their area in the tile are left out.
        point_size_px: side of the square that represents a point.

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
