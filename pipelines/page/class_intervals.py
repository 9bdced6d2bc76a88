"""Intervals of each class's precision and recall, from the predictions of a split.

By the bootstrap of the evaluation: whole groups are drawn where examples share some.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from components.evaluation.predictions import Head, PredictionRow
from components.evaluation.tasks.bootstrap import REPLICATES, Units, interval, seed_of, weights
from components.evaluation.tasks.measures import class_metric

Interval = tuple[float, float]


class ClassIntervals:
    """Counts of the predictions added so far, in each replicate of a bootstrap.

    Args:
        head: of the predictions.
    """

    def __init__(self, head: Head) -> None:
        self._at = {name: index for index, name in enumerate(head.classes)}
        self._names = head.names
        shape = (len(head.classes), REPLICATES)
        self._right, self._true, self._answered = (np.zeros(shape) for _ in range(3))
        self._units_true = [Units() for _ in head.classes]
        self._units_answered = [Units() for _ in head.classes]

    def add(self, row: PredictionRow) -> None:
        """Counts one example, of a task that decides on the classes of whole images."""
        if row.truth is None or row.answer is None or row.probabilities is None:
            return
        seed = seed_of(row.key.encode("utf-8", "surrogateescape"), row.group)
        drawn, true, answered = weights(seed), self._of(row.truth), self._of(row.answer)
        for classes, counts, units in (
            (true, self._true, self._units_true),
            (answered, self._answered, self._units_answered),
        ):
            for at in classes:
                counts[at] += drawn
                units[at].add(seed)
        for at in true & answered:
            self._right[at] += drawn

    def intervals(self) -> dict[str, Interval]:
        """Returns the 95 % intervals by metric (`recall/forest`), of those with enough units."""
        return {name: found for name, found in self._found() if np.isfinite(found).all()}

    def _found(self) -> Iterator[tuple[str, Interval]]:
        for metric, wholes, units in (
            ("precision", self._answered, self._units_answered),
            ("recall", self._true, self._units_true),
        ):
            for name, at in self._at.items():
                yield (
                    class_metric(metric, name),
                    interval(_shares(self._right[at], wholes[at]), units[at]),
                )

    def _of(self, text: str) -> set[int]:
        return {self._at[name] for name in self._names(text) if name in self._at}


def _shares(
    parts: npt.NDArray[np.float64], wholes: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    return np.divide(parts, wholes, out=np.full(wholes.shape, np.nan), where=wholes > 0)
