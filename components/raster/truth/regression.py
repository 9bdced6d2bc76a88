"""A number for each tile."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
import shapely

from components.raster.frozen import Frozen
from components.raster.labels.shapes import PlacedShapes
from components.raster.labels.targets import MaskPixels
from components.raster.task import Task
from components.raster.tiles.key import Window
from components.raster.tiles.valid_mask import Mask
from components.raster.truth.shares import top_at_centre
from components.raster.truth.value import Truth


class NumberTarget(Frozen):
    """A number per tile, from shapes."""

    task: ClassVar[Task] = "regression"
    from_masks: ClassVar[bool] = False
    background: ClassVar[None] = None

    to: Literal["number"] = "number"
    rule: Literal["mean", "centre", "count"] = "mean"

    @property
    def from_boxes(self) -> bool:
        """Boxes have no numbers, but they can be counted."""
        return self.rule == "count"

    @property
    def reads_numbers(self) -> bool:
        """Every rule but the count needs the numbers of shapes."""
        return self.rule != "count"

    def of_shapes(
        self, shapes: PlacedShapes, window: Window, valid: Mask, classes: Sequence[str]
    ) -> Truth | None:
        """Returns the number of a tile from shapes; None if none provides one."""
        number = tile_number(shapes, window, self.rule)
        return None if number is None else Truth(number=number)

    def of_mask(self, mask: MaskPixels, classes: Sequence[str]) -> Truth | None:
        """Raises TypeError: masks hold no numbers."""
        raise TypeError("masks hold no numbers")


def tile_number(
    shapes: PlacedShapes, window: Window, rule: Literal["mean", "centre", "count"]
) -> float | None:
    """Returns a number for a tile; None if no shape provides one.

    mean: of the shapes' numbers, weighted by their area in the tile (points: unweighted).
    centre: of the topmost shape at the centre. count: number of shapes that intersect it.
    """
    if rule == "centre":
        top = top_at_centre(shapes, window)
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
