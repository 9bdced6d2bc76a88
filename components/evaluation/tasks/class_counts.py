"""Right, found and true units of each class, weighted by the replicates of the bootstrap.

A unit is an example, a pixel or an object, by task; the bootstrap draws examples or groups.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from components.evaluation.tasks.bootstrap import REPLICATES, Units, interval, weights
from components.evaluation.tasks.measures import Floats, quotients, wilson_interval

#: Metrics of a class from right, found and true, each [REPLICATES].
_METRICS: Mapping[str, Callable[[Floats, Floats, Floats], Floats]] = {
    "precision": lambda right, found, true: quotients(right, found),
    "recall": lambda right, found, true: quotients(right, true),
    "f1": lambda right, found, true: quotients(2 * right, found + true),
    "iou": lambda right, found, true: quotients(right, found + true - right),
}
#: Metrics that are shares of units, with the row of their denominator: found or true.
_SHARES = {"precision": 1, "recall": 2}


@dataclass
class _OfClass:
    """Counts of one class: right, found, true; `replicated` [3, REPLICATES] with weights."""

    counts: Floats = field(default_factory=lambda: np.zeros(3))
    replicated: Floats = field(default_factory=lambda: np.zeros((3, REPLICATES)))
    found: Units = field(default_factory=Units)
    true: Units = field(default_factory=Units)

    def __iadd__(self, other: Self) -> Self:
        self.counts += other.counts
        self.replicated += other.replicated
        self.found += other.found
        self.true += other.true
        return self

    def interval(self, metric: str, of_examples: bool) -> tuple[float, float]:
        """Returns the 95 % interval of a metric; NaN if there are too few units."""
        if not self.counts[2]:
            return np.nan, np.nan
        units = self.found if metric == "precision" else self.true
        if of_examples and metric in _SHARES and not units.groups:
            return wilson_interval(self.counts[0], int(self.counts[_SHARES[metric]]))
        return interval(_METRICS[metric](*self.replicated), units)


class ClassCounts:
    """Counts of the classes that occur, by their places in the space."""

    def __init__(self) -> None:
        self._classes: dict[int, _OfClass] = {}

    def add(self, counts: Floats, seed: int) -> None:
        """Counts one example: right, found and true of each class [3, K], and its seed."""
        drawn = weights(seed)
        for place in np.flatnonzero(counts.any(axis=0)).tolist():
            of_class = self._classes.setdefault(place, _OfClass())
            values = counts[:, place]
            of_class.counts += values
            of_class.replicated += values[:, np.newaxis] * drawn
            if values[1]:
                of_class.found.add(seed)
            if values[2]:
                of_class.true.add(seed)

    def __iadd__(self, other: Self) -> Self:
        for place, counts in other._classes.items():
            self._classes.setdefault(place, _OfClass()).__iadd__(counts)
        return self

    def replicated(self, class_count: int) -> Floats:
        """Returns the weighted counts: right, found, true [3, K, REPLICATES]."""
        found = np.zeros((3, class_count, REPLICATES))
        for place, counts in self._classes.items():
            found[:, place] = counts.replicated
        return found

    def intervals(
        self, metrics: tuple[str, ...], class_count: int, of_examples: bool = False
    ) -> dict[str, Floats]:
        """Returns the 95 % intervals of the metrics that the counts determine, each [K, 2].

        NaN for a class of which fewer examples (or groups) than `bootstrap.FEWEST_UNITS` have a
        true unit.

        Args:
            of_examples: the units are whole examples. If they were drawn alone, they are
                independent, and their shares have Wilson's interval, however few they are.
        """
        found = {}
        for metric in metrics:
            if metric in _METRICS:
                values = np.full((class_count, 2), np.nan)
                for place, counts in self._classes.items():
                    values[place] = counts.interval(metric, of_examples)
                found[metric] = values
        return found
