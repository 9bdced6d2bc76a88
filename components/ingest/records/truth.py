"""Truth of an example, beside the classes that its record carries."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from components.raster.labels.targets import Boxes, MaskPixels, ignore_value


@dataclass(frozen=True, eq=False)
class TileTruth:
    """Truth of a tile, beside the classes that its record carries."""

    number: float | None = None
    mask: MaskPixels | None = None
    boxes: Boxes | None = None

    def names(self, classes: Sequence[str]) -> tuple[str, ...]:
        """Returns the classes in the mask or among the boxes, out of the run's classes."""
        indices: set[int] = set()
        if self.boxes is not None:
            indices |= set(self.boxes.classes.tolist())
        if self.mask is not None:
            indices |= set(np.unique(self.mask).tolist()) - {ignore_value(len(classes))}
        return tuple(classes[index] for index in sorted(indices))
