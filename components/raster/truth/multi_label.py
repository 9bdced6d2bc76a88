"""Several classes for each tile, or none."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from components.raster.frozen import Frozen
from components.raster.labels.shapes import PlacedShapes
from components.raster.labels.targets import MaskPixels, ignore_value
from components.raster.task import Task
from components.raster.tiles.key import Window
from components.raster.tiles.valid_mask import Mask
from components.raster.truth.shares import shares
from components.raster.truth.value import Truth


class ClassesTarget(Frozen):
    """Several classes per tile, or none."""

    task: ClassVar[Task] = "multi_label"
    from_masks: ClassVar[bool] = True
    from_boxes: ClassVar[bool] = True
    reads_numbers: ClassVar[bool] = False
    background: ClassVar[None] = None

    to: Literal["classes"] = "classes"
    rule: Literal["any", "fraction"] = Field(
        default="any",
        description="Shapes that count: all that intersect the tile, or those above min_fraction.",
    )
    min_fraction: float = Field(
        default=0.05, gt=0, le=1, description="least share of the area, for the rule fraction"
    )

    def of_shapes(
        self, shapes: PlacedShapes, window: Window, valid: Mask, classes: Sequence[str]
    ) -> Truth:
        """Returns the classes of a tile from shapes."""
        found = tile_classes(shapes, window, self.rule, self.min_fraction)
        return Truth(labels=tuple(classes[index] for index in found))

    def of_mask(self, mask: MaskPixels, classes: Sequence[str]) -> Truth:
        """Returns the classes of a tile from its mask."""
        found = classes_of_mask(mask, len(classes), self.rule, self.min_fraction)
        return Truth(labels=tuple(classes[index] for index in found))


def tile_classes(
    shapes: PlacedShapes,
    window: Window,
    rule: Literal["any", "fraction"],
    min_fraction: float = 0.0,
) -> tuple[int, ...]:
    """Returns every class that intersects a tile (`any`), or covers a least share (`fraction`)."""
    least = min_fraction if rule == "fraction" else 0.0
    covered = shares(shapes, window)
    return tuple(sorted(index for index, share in covered.items() if share >= least and share))


def classes_of_mask(
    mask: MaskPixels, class_count: int, rule: Literal["any", "fraction"], min_fraction: float = 0.0
) -> tuple[int, ...]:
    """Returns every class that has a pixel of a mask (`any`), or a least share (`fraction`)."""
    counts = np.bincount(mask[mask != ignore_value(class_count)], minlength=class_count)
    least = max(1.0, min_fraction * mask.size) if rule == "fraction" else 1.0
    return tuple(int(index) for index in np.flatnonzero(counts >= least))
