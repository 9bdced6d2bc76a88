"""Tally of an image's pixels by true class, predicted class and confidence.

Masks are too large to keep each pixel's answer, so thresholds and suspects come from the tally.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.integer]

#: Steps of the confidence from 0 to 1.
STEPS = 50
#: With more cells than this, indexes are sorted instead of counted in an array.
_MOST_CELLS = 1 << 20


@dataclass(frozen=True, eq=False)
class PixelTally:
    """Pixels of one image; cells without pixels are left out.

    Attributes:
        cells: flat indexes into [K, K, STEPS]: given class, predicted class, step of confidence.
        counts: pixels of each cell.
    """

    cells: Ints
    counts: Ints

    @property
    def pixels(self) -> int:
        """Number of pixels that have a truth and a prediction."""
        return int(self.counts.sum())


def pixel_tally(
    given: Ints, predicted: Ints, confidence: npt.NDArray[np.floating], classes: int
) -> PixelTally:
    """Counts the pixels of one image; classes below 0, or from `classes` on, are not truth.

    Args:
        given, predicted: [H, W], class indexes.
        confidence: [H, W], probability of the predicted class.
        classes: K.
    """
    known = (given >= 0) & (given < classes) & (predicted >= 0) & (predicted < classes)
    steps = np.clip((confidence[known] * STEPS).astype(np.int64), 0, STEPS - 1)
    cells = (given[known].astype(np.int64) * classes + predicted[known]) * STEPS + steps
    return PixelTally(*occupied(cells, classes * classes * STEPS))


def occupied(cells: Ints, size: int) -> tuple[Ints, Ints]:
    """Returns the distinct flat indexes below `size`, ascending, and the count of each."""
    if size > _MOST_CELLS:
        found, counts = np.unique(cells, return_counts=True)
        return found, counts
    counts = np.bincount(cells, minlength=1)
    found = np.flatnonzero(counts)
    return found, counts[found]
