"""Thresholds on the score of a class that reach a precision or recall, and their cost.

The unit of a decision is an example for one or several classes per image, a pixel for masks, and a
found object for boxes. The precision and recall at a threshold are measured on the examples by
which it was chosen, so they are slightly optimistic. The intervals, which resample examples or
groups like those of the metrics, hold for a threshold that was fixed beforehand.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from components.evaluation.decision_config import DecisionConfig
from components.evaluation.predictions import Head, PredictionRow, PredictionTable
from components.evaluation.tasks.base import Scored
from components.evaluation.tasks.bootstrap import seed_of
from components.evaluation.tasks.class_counts import ClassCounts
from components.evaluation.tasks.measures import Floats
from components.evaluation.tasks.registry import evaluated_task
from components.gate.report import JSON

#: Scores kept before equal ones are merged: masks have many scores of few distinct values.
_MOST_KEPT = 1_000_000
_EXAMPLE = "example"
_AIMS = ("precision", "recall")


@dataclass(frozen=True)
class Decision:
    """A threshold that meets an aim, and its precision and recall on the split.

    Attributes:
        class_name: the class.
        aim: `precision` or `recall`; `asked` is its least value.
        threshold: the least score to decide for the class; None if no threshold meets the aim;
            `reached` is then the largest value that a threshold reaches.
        reached: the aim's value at the threshold.
        precision, recall: at the threshold, each with its 95 % interval or None.
        decided: units at or above the threshold.
        examples: units of the class.
        unit: of the decision: `example`, `pixel` or `object`.
    """

    class_name: str
    aim: str
    asked: float
    threshold: float | None
    reached: float
    precision: float | None = None
    precision_interval: tuple[float, float] | None = None
    recall: float | None = None
    recall_interval: tuple[float, float] | None = None
    decided: int = 0
    examples: int = 0
    unit: str = _EXAMPLE

    @classmethod
    def of(cls, document: dict[str, JSON]) -> "Decision":
        """Returns the decision of a JSON object with the attributes as fields."""
        values = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in document.items()
        }
        return cls(**values)  # type: ignore[arg-type]


class ScoreCounts:
    """Units of one class by score, over the examples added so far."""

    def __init__(self) -> None:
        self.true = 0.0
        self._kept: list[Floats] = []  # each [3, M]: score, right, decided
        self._count = 0

    def add(self, scored: Scored) -> None:
        """Counts one example."""
        self.true += scored.true
        self._kept.append(np.stack((scored.scores, scored.right, scored.decided)))
        self._count += len(scored.scores)
        if self._count > _MOST_KEPT:
            self._kept = [self._added_up()]
            self._count = self._kept[0].shape[1]

    def falling(self) -> tuple[Floats, Floats, Floats]:
        """Returns the distinct scores, falling, and the right and all units at or above each."""
        scores, right, decided = self._added_up()[:, ::-1]
        return scores, np.cumsum(right), np.cumsum(decided)

    def _added_up(self) -> Floats:
        scores, right, decided = np.concatenate([np.zeros((3, 0)), *self._kept], axis=1)
        distinct, places = np.unique(scores, return_inverse=True)
        sums = [np.bincount(places, values, len(distinct)) for values in (right, decided)]
        return np.stack((distinct, *sums))


def choose(config: DecisionConfig, counts: ScoreCounts, unit: str = _EXAMPLE) -> Decision:
    """Finds the threshold for a class; its intervals are still None."""
    aim, recall_aim = _AIMS
    asked = config.precision
    if asked is None:
        aim, asked = recall_aim, config.recall
    assert asked is not None
    scores, right, decided = counts.falling()
    values = right / decided if aim == _AIMS[0] else right / max(counts.true, 1.0)
    meeting = np.flatnonzero(values >= asked)
    if not counts.true or not meeting.size:
        reached = float(values.max()) if counts.true and values.size else 0.0
        return Decision(
            config.class_name, aim, asked, None, reached, examples=int(counts.true), unit=unit
        )
    place = meeting[-1] if aim == _AIMS[0] else meeting[0]
    return Decision(
        config.class_name,
        aim,
        asked,
        threshold=float(scores[place]),
        reached=float(values[place]),
        precision=float(right[place] / decided[place]),
        recall=float(right[place] / counts.true),
        decided=int(decided[place]),
        examples=int(counts.true),
        unit=unit,
    )


def decisions(
    configs: Iterable[DecisionConfig], predictions: PredictionTable
) -> tuple[Decision, ...]:
    """Chooses a threshold for each configured class of the candidate, from its predictions.

    Reads the predictions twice: for the thresholds, then for their intervals.
    """
    head = predictions.head
    wanted = [config for config in configs if config.class_name in head.classes]
    if not wanted:
        return ()
    places = [head.classes.index(config.class_name) for config in wanted]
    unit = evaluated_task(head.task).decision_unit or _EXAMPLE
    counts = [ScoreCounts() for _ in wanted]
    for _, scored in _scored(predictions, places):
        for of_class, of_example in zip(counts, scored, strict=True):
            of_class.add(of_example)
    chosen = [choose(config, of, unit) for config, of in zip(wanted, counts, strict=True)]
    at_thresholds = ClassCounts()
    for seed, scored in _scored(predictions, places):
        columns = [_at(one, of_example) for one, of_example in zip(chosen, scored, strict=True)]
        at_thresholds.add(np.array(columns).T, seed)
    bounds = at_thresholds.intervals(_AIMS, len(wanted), of_examples=unit == _EXAMPLE)
    return tuple(
        decision
        if decision.threshold is None
        else replace(
            decision,
            precision_interval=_known(bounds["precision"][at]),
            recall_interval=_known(bounds["recall"][at]),
        )
        for at, decision in enumerate(chosen)
    )


def _scored(
    predictions: PredictionTable, places: Sequence[int]
) -> Iterator[tuple[int, list[Scored]]]:
    """Yields, for each example with truth and answer, its seed and its units for each class."""
    for row in predictions:
        if row.truth is not None and (row.probabilities is not None or row.details is not None):
            seed = seed_of(row.key.encode(), row.group)
            yield seed, [_of_row(row, predictions.head, place) for place in places]


def _of_row(row: PredictionRow, head: Head, place: int) -> Scored:
    if row.details is not None:
        return evaluated_task(head.task).scored(row.details, place, len(head.classes))
    assert row.probabilities is not None
    assert row.truth is not None
    true = float(head.classes[place] in head.names(row.truth))
    return Scored(np.array([row.probabilities[place]]), np.array([true]), np.ones(1), true)


def _at(decision: Decision, scored: Scored) -> tuple[float, float, float]:
    """Returns the right, decided and true units of an example at a threshold."""
    if decision.threshold is None:
        return 0.0, 0.0, 0.0
    chosen = scored.scores >= decision.threshold
    return float(scored.right[chosen].sum()), float(scored.decided[chosen].sum()), scored.true


def _known(bounds: Floats) -> tuple[float, float] | None:
    low, high = bounds.tolist()
    return (low, high) if np.isfinite(low) else None
