"""Suspects among class masks, from a tally of each image's pixels."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from components.raster.pixel_tally import STEPS, PixelTally


@dataclass(frozen=True)
class SuspectArea:
    """Pixels of one image with the label of one class and a confident prediction of another.

    Attributes:
        share: of the image's pixels with truth.
        confidence: mean of the model's confidence there.
    """

    image: int
    given: int
    likely: int
    share: float
    confidence: float


def suspect_areas(
    tallies: Sequence[PixelTally], classes: int, least_share: float = 0.02
) -> list[SuspectArea]:
    """Finds wrongly labelled areas, the largest share of an image first.

    A pixel is suspect if the model predicts another class than the given one, with at least the
    mean confidence of that class on pixels where it is right.

    Args:
        tallies: of every image.
        classes: K.
        least_share: smaller areas are left out, since the edges of objects always differ by a
        pixel.
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
