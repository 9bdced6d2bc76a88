"""Truth of one example, in one form for all tasks."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from components.raster.labels.targets import Boxes, MaskPixels, ignore_value


@dataclass(frozen=True, eq=False)
class Truth:
    """The truth of an example: its class, its classes, a number, a mask or boxes."""

    label: str | None = None
    labels: tuple[str, ...] | None = None
    number: float | None = None
    mask: MaskPixels | None = None
    boxes: Boxes | None = None

    def names(self, classes: Sequence[str]) -> tuple[str, ...]:
        """Returns those of the run's classes that occur in the truth."""
        if self.label is not None:
            return (self.label,)
        if self.labels is not None:
            return self.labels
        indices: set[int] = set()
        if self.boxes is not None:
            indices |= set(self.boxes.classes.tolist())
        if self.mask is not None:
            indices |= set(np.unique(self.mask).tolist()) - {ignore_value(len(classes))}
        return tuple(classes[index] for index in sorted(indices))
