"""Draws a probability sample of pixels from strata.

Pixels of a stratum are numbered row by row over the whole map. The sample is a set of these
numbers, so it depends only on the map and the seed, not on how the file is read.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from components.assessment.estimators import Integers

#: Reads a map from its start: (first row, stratum of each pixel (R, W), -1 outside every stratum).
Strips = Callable[[], Iterator[tuple[int, npt.NDArray[np.int64]]]]


@dataclass(frozen=True, eq=False)
class Pixels:
    """Positions of drawn pixels, in the order in which they are labelled, (N,)."""

    rows: Integers
    cols: Integers
    stratum: Integers


def count_strata(strips: Strips, strata: int) -> Integers:
    """Counts the pixels of each stratum."""
    counts = np.zeros(strata, np.int64)
    for _, strip in strips():
        counts += np.bincount(strip[strip >= 0], minlength=strata)
    return counts


def draw(strips: Strips, population: Integers, units: Integers, seed: int) -> Pixels:
    """Draws `units` pixels of each stratum without replacement, each with equal probability.

    The order is random over all strata. So an analyst cannot guess a pixel's stratum from its
    neighbours in the list, and a partly labelled list is a sample too.
    """
    random = np.random.default_rng(seed)
    ranks = [
        np.sort(random.choice(total, size=wanted, replace=False, shuffle=False))
        for total, wanted in zip(population.tolist(), units.tolist(), strict=True)
    ]
    found = _positions(strips, ranks)
    order = random.permutation(len(found))
    return Pixels(*found[order].T)


def _positions(strips: Strips, ranks: list[Integers]) -> Integers:
    """Returns (row, column, stratum) of pixels by their rank within their stratum."""
    seen = np.zeros(len(ranks), np.int64)
    found = [np.empty((0, 3), np.int64)]
    for first, strip in strips():
        here = np.bincount(strip[strip >= 0], minlength=len(ranks))
        for stratum, wanted in enumerate(ranks):
            start, end = np.searchsorted(wanted, [seen[stratum], seen[stratum] + here[stratum]])
            if start < end:
                pixels = np.flatnonzero(strip.ravel() == stratum)[wanted[start:end] - seen[stratum]]
                rows, cols = np.divmod(pixels, strip.shape[1])
                found.append(np.stack([rows + first, cols, np.full_like(rows, stratum)], axis=1))
        seen += here
    return np.concatenate(found)
