"""Tally of the predictions of a split, in bounded memory: bins, curves, places, chosen examples."""

import heapq
import math
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from components.evaluation.predictions import PredictionRow
from pipelines.page.charts.places import ScoredPlace
from pipelines.page.evidence import ClassCurve, ConfidenceBin

Floats = npt.NDArray[np.float64]

CONFIDENCE_BINS = 15
#: Number of thresholds of the curves, to which probabilities are rounded down.
_STEPS = 1000
_MOST_CURVE_POINTS = 120
#: With more classes than this, there are no curves: their counts would take too much memory.
_MOST_CLASSES = 1000
MOST_PLACES = 20_000


@dataclass(frozen=True)
class Choice:
    """Numbers of shown examples: mistakes, uncertain answers, suspicious labels, by class."""

    worst: int = 12
    uncertain: int = 12
    suspicious: int = 12
    classes: int = 20
    of_class: int = 6


class _Least:
    """The items with the lowest keys; of equal keys, those that came first."""

    def __init__(self, most: int) -> None:
        self._most, self._came = most, 0
        self._heap: list[tuple[float, int, PredictionRow]] = []

    def add(self, key: float, item: PredictionRow) -> None:
        self._came += 1
        if len(self._heap) < self._most:
            heapq.heappush(self._heap, (-key, -self._came, item))
        elif self._heap and -key > self._heap[0][0]:
            heapq.heapreplace(self._heap, (-key, -self._came, item))

    def items(self) -> list[PredictionRow]:
        return [item for _, _, item in sorted(self._heap, key=lambda it: (-it[0], -it[1]))]


class PredictionTally:
    """Counts of the predictions added so far.

    Args:
        classes: in the order of the probabilities.
        several: returns the names in a truth or answer; None where it names one class.
        choice: numbers of examples to choose.
    """

    def __init__(
        self,
        classes: Sequence[str],
        several: Callable[[str], Sequence[str]] | None = None,
        choice: Choice = Choice(),
    ) -> None:
        self.classes = tuple(classes)
        self.place_count = 0
        self._several, self._choice = several, choice
        count = len(self.classes) if len(self.classes) <= _MOST_CLASSES else 0
        self._scores = np.zeros((2, count, _STEPS), np.int64)  # of others, of the class itself
        self._rows = np.arange(count)
        self._indices = {name: index for index, name in enumerate(self.classes[:count])}
        self._bins = np.zeros((2, CONFIDENCE_BINS), np.int64)  # of wrong answers, of right ones
        self._worst, self._uncertain = _Least(choice.worst), _Least(choice.uncertain)
        self._sheet = {name: _Least(choice.of_class) for name in self.classes[: choice.classes]}
        self._any = _Least(choice.of_class * 4)
        self._places = _Least(MOST_PLACES)

    def add(self, row: PredictionRow) -> None:
        """Counts one example."""
        lot = float(zlib.crc32(row.key.encode()))  # the same examples in every run
        if row.truth is not None and row.answer is not None:
            self._add_confidence(row)
            self._choose(row, lot)
        if row.probabilities is not None and len(row.probabilities) == len(self._rows):
            self._add_probabilities(row.probabilities, row.truth)
        if has_place(row):
            self.place_count += 1
            self._places.add(lot, replace(row, probabilities=None))  # many rows are kept

    def add_all(self, rows: Iterable[PredictionRow]) -> "PredictionTally":
        """Counts examples, and returns self."""
        for row in rows:
            self.add(row)
        return self

    @property
    def worst(self) -> list[PredictionRow]:
        """Wrong answers: the lowest score first, of equal ones the largest loss."""
        return self._worst.items()

    @property
    def uncertain(self) -> list[PredictionRow]:
        """Answers of the least confidence."""
        return self._uncertain.items()

    @property
    def sheet(self) -> list[tuple[str, list[PredictionRow]]]:
        """Random examples by class, or under an empty name where they have several."""
        if self._several is None and self._sheet:
            return [(name, found.items()) for name, found in self._sheet.items() if found.items()]
        return [("", found)] if (found := self._any.items()) else []

    @property
    def confidence(self) -> tuple[ConfidenceBin, ...]:
        """Bins of the answers that are right or wrong; none without such an answer."""
        if not self._bins.any():
            return ()
        edges = np.linspace(0, 1, CONFIDENCE_BINS + 1).tolist()
        wrong, right = self._bins.tolist()
        return tuple(map(ConfidenceBin, edges[:-1], edges[1:], right, wrong))

    @property
    def places(self) -> tuple[ScoredPlace, ...]:
        """Places of the examples with a score; a random sample above `MOST_PLACES`."""
        return tuple(
            ScoredPlace(float(it.longitude or 0), float(it.latitude or 0), float(it.score or 0))
            for it in self._places.items()
        )

    @property
    def curves(self) -> tuple[ClassCurve, ...]:
        """Curves of each class that has both positive and negative examples."""
        others, own = self._scores
        return tuple(
            class_curve(name, own[index], others[index])
            for index, name in enumerate(self.classes[: len(own)])
            if own[index].any() and others[index].any()
        )

    def _add_confidence(self, row: PredictionRow) -> None:
        confidence = known(row.confidence)
        if confidence is None or row.score not in (0, 1):
            return
        place = min(int(confidence * CONFIDENCE_BINS), CONFIDENCE_BINS - 1)
        self._bins[int(row.score), place] += 1

    def _choose(self, row: PredictionRow, lot: float) -> None:
        score, loss, confidence = map(known, (row.score, row.loss, row.confidence))
        if score is None and loss:
            self._worst.add(-loss, row)
        elif score is not None and score < 1:
            # The score decides, then the loss.
            self._worst.add(score * 1e6 - min(loss or 0.0, 1e5), row)
        if confidence is not None:
            self._uncertain.add(confidence, row)
        self._any.add(lot, row)
        if row.truth in self._sheet:
            self._sheet[row.truth].add(lot, row)

    def _add_probabilities(self, probabilities: Sequence[float], truth: str | None) -> None:
        if truth is None:
            return
        names = self._several(truth) if self._several else [truth]
        own = np.zeros(len(self._rows), np.int64)
        own[[self._indices[name] for name in names if name in self._indices]] = 1
        steps = (np.asarray(probabilities, np.float64) * _STEPS).astype(np.int64)
        self._scores[own, self._rows, np.clip(steps, 0, _STEPS - 1)] += 1


def class_curve(
    name: str, own: npt.NDArray[Any], others: npt.NDArray[Any], positives: float | None = None
) -> ClassCurve:
    """Computes a class's curves from the counts of its own and other units by rising score.

    Args:
        positives: number of the class's units, for tasks in which some have no score and true
            negatives are not counted; there are no rates then.
    """
    found = np.concatenate([[0], np.cumsum(own[::-1])])
    alarms = np.concatenate([[0], np.cumsum(others[::-1])])
    recall = found / (positives or found[-1])
    false_rate = alarms / max(alarms[-1], 1)
    precision = found / np.maximum(found + alarms, 1)
    steps = np.diff(recall)
    area = float((np.diff(false_rate) * (recall[1:] + recall[:-1]) / 2).sum())
    kept = np.flatnonzero(np.concatenate([[1], np.diff(found) + np.diff(alarms)]))
    if len(kept) > _MOST_CURVE_POINTS:
        # The curves change most at the highest scores.
        places = np.linspace(0, 1, _MOST_CURVE_POINTS) ** 2 * (len(kept) - 1)
        kept = kept[np.unique(places.astype(int))]
    seen = kept[kept > 0]
    return ClassCurve(
        name,
        int(positives or found[-1]),
        _points(recall[seen], precision[seen]),
        _points(false_rate[kept], recall[kept]) if positives is None else (),
        float((steps * precision[1:]).sum()),
        area,
    )


def _points(x: Floats, y: Floats) -> tuple[tuple[float, float], ...]:
    return tuple(zip(np.round(x, 4).tolist(), np.round(y, 4).tolist(), strict=True))


def has_place(row: PredictionRow) -> bool:
    """Checks whether an example has a place on a map and an answer with a score."""
    return all(known(value) is not None for value in (row.longitude, row.latitude, row.score))


def known(value: float | None) -> float | None:
    """Returns a value, and None for one that is not finite."""
    return value if value is not None and math.isfinite(value) else None
