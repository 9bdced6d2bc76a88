"""Size of a sample and its allocation to strata.

>>> import numpy as np
>>> strata = np.array([200_000, 150_000, 3_200_000, 6_450_000])
>>> size_for(strata, np.array([0.7, 0.6, 0.9, 0.95]), half_width=0.0196)
641
>>> allocate(641, strata, minimum=75).tolist()
[75, 75, 163, 328]
"""

import math
from bisect import bisect_left
from statistics import NormalDist

import numpy as np

from components.assessment.estimators import Floats, Integers


def size_for(
    population: Integers, accuracy: Floats, half_width: float, confidence: float = 0.95
) -> int:
    """Computes the sample size for a wanted half width of the overall accuracy's interval.

    Source: Cochran (1977), equation 5.25, for allocation in proportion to S, as in Olofsson
    et al. (2014), equation 13.

    Args:
        population: pixels of each stratum, (S,).
        accuracy: expected share of right pixels of each stratum, (S,).
        half_width: of the interval, as a share.
        confidence: of the interval.
    """
    if not 0 < half_width < 1:
        raise ValueError("a half width lies between 0 and 1")
    total = population.sum()
    weights = population / total
    spread = accuracy * (1 - accuracy)
    wanted = (half_width / NormalDist().inv_cdf((1 + confidence) / 2)) ** 2
    size = (weights * np.sqrt(spread)).sum() ** 2 / (wanted + (weights * spread).sum() / total)
    return min(int(total), max(1, math.ceil(round(float(size), 6))))


def units_for(
    population: Integers,
    accuracy: Floats,
    half_width: float,
    minimum: int,
    confidence: float = 0.95,
) -> Integers:
    """Allocates the smallest sample whose overall accuracy has an interval of a wanted half width.

    The minimum per stratum takes units from the large strata, so many rare classes need more than
    `size_for` computes.

    Args:
        population: pixels of each stratum, (S,).
        accuracy: expected share of right pixels of each stratum, (S,).
        half_width: of the interval, as a share.
        minimum: units of each stratum at least.
        confidence: of the interval.
    """
    total = int(population.sum())
    sizes = range(size_for(population, accuracy, half_width, confidence), total + 1)

    def suffices(size: int) -> bool:
        units = allocate(size, population, minimum)
        return half_width_of(units, population, accuracy, confidence) <= half_width

    enough = bisect_left(sizes, True, key=suffices)
    return allocate(min(sizes.start + enough, total), population, minimum)


def half_width_of(
    units: Integers, population: Integers, accuracy: Floats, confidence: float = 0.95
) -> float:
    """Computes the expected half width of the overall accuracy's interval.

    Source: Cochran (1977), equation 5.5, for shares. Arguments as for `units_for`.
    """
    drawn = units > 0
    held, taken, right = population[drawn], units[drawn], accuracy[drawn]
    weights = held / population.sum()
    variance = (weights**2 * right * (1 - right) / taken * (1 - taken / held)).sum()
    return NormalDist().inv_cdf((1 + confidence) / 2) * math.sqrt(variance)


def allocate(size: int, population: Integers, minimum: int) -> Integers:
    """Allocates a sample to strata in proportion to their pixels, with a minimum for each.

    A small stratum gets `minimum` units, or all its pixels; the large ones share the rest. The
    sum exceeds `size` if the minimums add up to more.
    """
    floor = np.minimum(minimum, population)
    units = floor.copy()
    open_strata = population > 0
    while True:
        left = size - int(units[~open_strata].sum())
        base = population[open_strata].sum()
        if left <= 0 or not base:
            return units
        share = np.where(open_strata, population * (left / base), 0.0)
        below = open_strata & (share < floor)
        if not below.any():
            break
        open_strata &= ~below
    return np.where(open_strata, np.minimum(_rounded(share, left), population), units)


def _rounded(share: Floats, total: int) -> Integers:
    """Rounds shares to integers with the same sum, by the largest remainder method."""
    whole = np.floor(share).astype(np.int64)
    missing = total - int(whole.sum())
    largest = np.argsort(-(share - whole), kind="stable")[:missing]
    whole[largest] += 1
    return whole
