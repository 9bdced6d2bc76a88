"""One class for each tile."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from components.raster.frozen import Frozen
from components.raster.labels.shapes import PlacedShapes
from components.raster.labels.targets import MaskPixels, ignore_value
from components.raster.task import Task
from components.raster.text import ClassName
from components.raster.tiles.key import Window
from components.raster.tiles.valid_mask import Mask
from components.raster.truth.shares import shares, top_at_centre
from components.raster.truth.value import Truth


class ClassTarget(Frozen):
    """One class per tile."""

    task: ClassVar[Task] = "single_label"
    from_masks: ClassVar[bool] = True
    from_boxes: ClassVar[bool] = True
    reads_numbers: ClassVar[bool] = False

    to: Literal["class"] = "class"
    rule: Literal["majority", "centre"] = Field(
        default="majority",
        description="What determines a tile's class: the largest share, or the shape at its "
        "centre.",
    )
    background: ClassName | None = Field(
        default=None, description="class of tiles without a class; null leaves them out"
    )

    def of_shapes(
        self, shapes: PlacedShapes, window: Window, valid: Mask, classes: Sequence[str]
    ) -> Truth | None:
        """Returns the class of a tile from shapes; None if it has none."""
        return self._truth(tile_class(shapes, window, self.rule), classes)

    def of_mask(self, mask: MaskPixels, classes: Sequence[str]) -> Truth | None:
        """Returns the class of a tile from its mask; None if it has none."""
        return self._truth(class_of_mask(mask, len(classes), self.rule), classes)

    def _truth(self, index: int | None, classes: Sequence[str]) -> Truth | None:
        label = self.background if index is None else classes[index]
        return None if label is None else Truth(label=label)


def tile_class(
    shapes: PlacedShapes, window: Window, rule: Literal["majority", "centre"]
) -> int | None:
    """Returns one class for a tile; None if it has none.

    majority: the class with the largest share, if that exceeds the uncovered share; the first of
    two with the same share. For points: the class of most of them.
    centre: the class of the topmost shape at the tile's centre.
    """
    if rule == "centre":
        top = top_at_centre(shapes, window)
        return None if top is None else int(shapes.classes[top])
    covered = shares(shapes, window)
    if not covered:
        return None
    best = max(sorted(covered), key=lambda index: covered[index])
    empty = 0.0 if shapes.is_point.all() else 1.0 - min(sum(covered.values()), 1.0)
    return best if covered[best] > empty else None


def class_of_mask(
    mask: MaskPixels, class_count: int, rule: Literal["majority", "centre"]
) -> int | None:
    """Returns one class for a tile from its mask (H, W); None if there is no truth.

    majority: the class of most pixels that have one; the first of two with equally many.
    centre: the class of the pixel at the tile's centre (below and right of it, for even sizes).

    >>> mask = np.array([[0, 1], [1, 255]], np.uint8)  # 255: ignored
    >>> class_of_mask(mask, 2, "majority")
    1
    >>> print(class_of_mask(mask, 2, "centre"))
    None
    """
    ignore = ignore_value(class_count)
    if rule == "centre":
        found = int(mask[mask.shape[0] // 2, mask.shape[1] // 2])
        return None if found == ignore else found
    counts = np.bincount(mask[mask != ignore], minlength=class_count)
    return int(counts.argmax()) if counts.any() else None
