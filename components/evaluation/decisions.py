"""Thresholds on the probability of a class that reach a precision or recall, and their cost.

The precision and recall at a threshold are those on the examples by which it was chosen, and a
little too good for that reason; the intervals, by the bootstrap of `tasks.bootstrap`, hold for a
threshold that was fixed before.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from components.evaluation.decision_config import DecisionConfig
from components.evaluation.predictions import PredictionTable
from components.evaluation.tasks import bootstrap
from components.evaluation.tasks.bootstrap import Units
from components.evaluation.tasks.measures import Floats, quotients
from components.gate.report import JSON

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Decision:
    """A threshold that meets an aim, and what it costs on the split.

    Attributes:
        class_name: the class.
        aim: `precision` or `recall`; `asked` is its least value.
        threshold: the least probability to decide for the class; None if no threshold meets the
            aim, and then `reached` is the most that one does.
        reached: the aim's value at the threshold.
        precision, recall: at the threshold, each with its 95 % interval or None.
        decided, examples: examples at or above the threshold, and examples of the class.
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

    @classmethod
    def of(cls, document: dict[str, JSON]) -> "Decision":
        """Returns the decision of a JSON object with the attributes as fields."""
        values = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in document.items()
        }
        return cls(**values)  # type: ignore[arg-type]


def decide(config: DecisionConfig, scores: Floats, true: Bools, seeds: Sequence[int]) -> Decision:
    """Finds the threshold for a class.

    Args:
        config: the class and the aim.
        scores: probability of the class, [N].
        true: presence of the class, [N].
        seeds: of the examples' units (`bootstrap.seed_of`), [N].
    """
    aim = "precision" if config.precision is not None else "recall"
    asked = config.precision if config.precision is not None else config.recall
    assert asked is not None
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    last = np.append(ranked[1:] != ranked[:-1], True)[: len(ranked)]  # equal scores go together
    found = np.cumsum(true[order])[last].astype(np.float64)
    decided = np.flatnonzero(last) + 1.0
    positives = float(true.sum())
    values = found / decided if aim == "precision" else found / max(positives, 1.0)
    meeting = np.flatnonzero(values >= asked)
    if not positives or not meeting.size:
        reached = float(values.max()) if positives and values.size else 0.0
        return Decision(config.class_name, aim, asked, None, reached, examples=int(positives))
    place = meeting[-1] if aim == "precision" else meeting[0]
    threshold = float(ranked[last][place])
    chosen = scores >= threshold
    counts = np.stack([true & chosen, chosen, true]).astype(np.float64)
    precision, recall = _intervals(counts, seeds)
    return Decision(
        config.class_name,
        aim,
        asked,
        threshold,
        float(values[place]),
        float(found[place] / decided[place]),
        precision,
        float(found[place] / positives),
        recall,
        int(decided[place]),
        int(positives),
    )


def _intervals(
    counts: Floats, seeds: Sequence[int]
) -> tuple[tuple[float, float] | None, tuple[float, float] | None]:
    """Returns the intervals of precision and recall, from right, decided and true, [3, N]."""
    replicates = np.zeros((3, bootstrap.REPLICATES))
    for seed, count in zip(seeds, counts.T, strict=True):
        if count.any():
            replicates += count[:, np.newaxis] * bootstrap.weights(seed)
    right, decided, true = replicates
    units = Units.of(seeds)
    return _known(quotients(right, decided), units), _known(quotients(right, true), units)


def _known(values: Floats, units: Units) -> tuple[float, float] | None:
    low, high = bootstrap.interval(values, units)
    return None if math.isnan(low) else (low, high)


def decisions(
    configs: Iterable[DecisionConfig], predictions: PredictionTable
) -> tuple[Decision, ...]:
    """Decides for each configured class that the candidate has, from its predictions."""
    classes = predictions.head.classes
    wanted = [config for config in configs if config.class_name in classes]
    if not wanted:
        return ()
    places = [classes.index(config.class_name) for config in wanted]
    scores: list[list[float]] = []
    truths: list[list[bool]] = []
    seeds: list[int] = []
    for row in predictions:
        if row.probabilities is None or row.truth is None:
            continue
        present = predictions.head.names(row.truth)
        scores.append([row.probabilities[place] for place in places])
        truths.append([config.class_name in present for config in wanted])
        seeds.append(bootstrap.seed_of(row.key.encode(), row.group))
    probabilities = np.array(scores, np.float64).reshape(-1, len(wanted))
    true = np.array(truths, bool).reshape(-1, len(wanted))
    return tuple(
        decide(config, probabilities[:, at], true[:, at], seeds) for at, config in enumerate(wanted)
    )
