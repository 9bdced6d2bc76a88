"""Suspects among class masks, from a tally of each image's pixels.

Masks are too large to keep probabilities of every pixel. An image's tally counts pixels by given
class, by predicted class and by confidence, in steps; thresholds and suspects follow from tallies.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

STEPS = 50


@dataclass(frozen=True, eq=False)
class PixelTally:
    """Pixels of one image; cells without pixels are left out.

    Attributes:
        cells: flat indexes into [K, K, STEPS]: given class, predicted class, step of confidence.
        counts: pixels of each cell.
    """

    cells: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]

    @property
    def pixels(self) -> int:
        """Number of pixels that have a truth and a prediction."""
        return int(self.counts.sum())


@dataclass(frozen=True)
class SuspectArea:
    """Pixels of one image that are labelled with one class and confidently of another.

    Attributes:
        share: of the image's pixels with truth.
        confidence: mean of the model's confidence there.
    """

    image: int
    given: int
    likely: int
    share: float
    confidence: float


def pixel_tally(
    given: npt.NDArray[np.integer],
    predicted: npt.NDArray[np.integer],
    confidence: npt.NDArray[np.floating],
    classes: int,
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
    found, counts = np.unique(cells, return_counts=True)
    return PixelTally(found, counts.astype(np.int64))


def suspect_areas(
    tallies: Sequence[PixelTally], classes: int, least_share: float = 0.02
) -> list[SuspectArea]:
    """Finds areas that are labelled wrongly, the largest share of an image first.

    A pixel is suspect where another class than the given one is predicted, at least as confidently
    as that class is where it is right (the mean over all pixels).

    Args:
        tallies: of every image.
        classes: K.
        least_share: smaller areas are left out; edges of objects differ by a pixel anywhere.
    """
    middle = (np.arange(STEPS) + 0.5) / STEPS
    right = _total(tallies, classes)[np.arange(classes), np.arange(classes)]
    pixels = right.sum(axis=1)
    least = np.divide(right @ middle, pixels, out=np.full(classes, np.inf), where=pixels > 0)
    found = []
    for image, tally in enumerate(tallies):
        pairs, steps = np.divmod(tally.cells, STEPS)
        given, predicted = np.divmod(pairs, classes)
        suspect = (given != predicted) & (middle[steps] >= least[predicted] - 0.5 / STEPS)
        for pair in np.unique(pairs[suspect]):
            of_pair = suspect & (pairs == pair)
            count = int(tally.counts[of_pair].sum())
            if count >= least_share * tally.pixels:
                sure = float(middle[steps[of_pair]] @ tally.counts[of_pair]) / count
                area = divmod(int(pair), classes)
                found.append(SuspectArea(image, *area, count / tally.pixels, sure))
    return sorted(found, key=lambda it: (-it.share, it.image, it.given, it.likely))


def _total(tallies: Iterable[PixelTally], classes: int) -> npt.NDArray[np.int64]:
    total = np.zeros(classes * classes * STEPS, np.int64)
    for tally in tallies:
        total[tally.cells] += tally.counts
    return total.reshape(classes, classes, STEPS)
