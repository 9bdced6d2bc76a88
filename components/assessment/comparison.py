"""Paired comparison of two maps, on the sample of one."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb

import numpy as np

from components.assessment.class_map import FinishedMap
from components.assessment.estimators import Estimate, Integers, LabelledSample, domain_difference
from components.assessment.record import Design
from components.raster.errors import DataError
from components.raster.scene.grid import reproject


@dataclass(frozen=True)
class MapComparison:
    """Two maps on the same labelled units.

    Attributes:
        units: number that both maps answer.
        first_only: units that only the sampled map has right.
        second_only: units that only the other one has right.
        p_value: of the exact two-sided paired test; 1 if the maps are right on the same units.
        difference: of overall accuracies in the area that both cover; positive if the sampled
            map is better.
    """

    units: int
    first_only: int
    second_only: int
    p_value: float
    difference: Estimate


def compare(
    design: Design, sample: LabelledSample, ids: Sequence[int], other: FinishedMap
) -> MapComparison:
    """Compares a sampled map with another one.

    Classes are matched by name. A class that only the other map has counts as wrong.

    Raises:
        DataError: the maps do not overlap, or only one of them has a CRS.
    """
    answers = answers_of(design, ids, other)
    covered = answers != _UNCOVERED
    difference = domain_difference(sample, answers, covered)
    if difference is None:
        raise DataError(f"{other.path} answers none of the sample's units: it lies elsewhere.")
    first = covered & (sample.mapped == sample.reference)
    second = covered & (answers == sample.reference)
    only = int((first & ~second).sum()), int((second & ~first).sum())
    return MapComparison(int(covered.sum()), *only, exact_paired_test(*only), difference)


_UNCOVERED, _OTHER_CLASS = -1, -2


def answers_of(design: Design, ids: Sequence[int], other: FinishedMap) -> Integers:
    """Returns the class, as an index into the design's classes, that another map gives to units.

    -1 where it has no answer, -2 where its class is not one of the design's.
    """
    wanted = set(ids)
    units = [unit for unit in design.units if unit.id in wanted]
    xs = np.array([unit.x for unit in units])
    ys = np.array([unit.y for unit in units])
    if (design.crs is None) != (other.grid.crs is None):
        raise DataError(
            f"{other.path} and {design.map} cannot be compared: only one of them has a CRS."
        )
    if design.crs is not None and other.grid.crs is not None:
        xs, ys = reproject(design.crs, other.grid.crs, xs, ys)
    by_name = {name: index for index, name in enumerate(design.classes)}
    renumber = [by_name.get(name, _OTHER_CLASS) for name in other.classes]
    return np.array([*renumber, _UNCOVERED], np.int64)[other.at(xs, ys)]


def exact_paired_test(first_only: int, second_only: int) -> float:
    """Returns the two-sided p-value of the exact McNemar test.

    Under the null hypothesis that a unit on which only one map is right is as likely to favour
    either, their number is binomial with one half.

    >>> exact_paired_test(1, 9)
    0.021484375
    """
    total, fewer = first_only + second_only, min(first_only, second_only)
    tail = sum(comb(total, count) for count in range(fewer + 1))
    return min(1.0, 2 * tail / 2**total)
