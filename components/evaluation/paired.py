"""Comparison of two models on the same examples: paired bootstrap and McNemar's test."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from components.evaluation.predictions import PredictionRow
from components.evaluation.tasks.measures import Floats
from components.gate.report import JSON

#: One-sided confidence of each bound of a 95 % interval.
INTERVAL = 0.975


@dataclass(frozen=True)
class PairedChange:
    """Candidate minus served version in the headline metric.

    Attributes:
        difference: the measured one.
        bounds: by confidence, a pair: the difference lies above the first and below the second,
            each with that confidence.
    """

    difference: float
    bounds: Mapping[float, tuple[float, float]]

    def document(self) -> dict[str, JSON]:
        """Returns the change as JSON values, with its 95 % interval."""
        bounds: list[JSON] = [
            {"confidence": confidence, "low": low, "high": high}
            for confidence, (low, high) in sorted(self.bounds.items())
        ]
        return {
            "difference": self.difference,
            "interval": list(self.bounds[INTERVAL]),
            "bounds": bounds,
        }

    @classmethod
    def of(cls, document: JSON) -> "PairedChange | None":
        """Inverts `document`; None for null."""
        if document is None:
            return None
        assert isinstance(document, dict)
        bounds = {it["confidence"]: (it["low"], it["high"]) for it in document["bounds"]}  # type: ignore
        return cls(float(document["difference"]), bounds)  # type: ignore[arg-type]


def paired_change(
    difference: float, candidate: Floats, baseline: Floats, confidences: Iterable[float]
) -> PairedChange | None:
    """Computes the bounds of a difference from the two models' replicates, [REPLICATES] each.

    Both models have the same weights in each replicate, so variation that they share cancels out.
    None if most replicates are unknown.
    """
    differences = candidate - baseline
    known = differences[np.isfinite(differences)]
    if not math.isfinite(difference) or known.size < 0.9 * differences.size:
        return None
    bounds = {}
    for confidence in {INTERVAL, *confidences}:
        low, high = np.percentile(known, (100 * (1 - confidence), 100 * confidence))
        bounds[confidence] = float(low), float(high)
    return PairedChange(difference, bounds)


@dataclass(frozen=True)
class McNemar:
    """McNemar's exact test of two models on examples that are independent.

    Attributes:
        only_candidate, only_baseline: examples on which only this model is right.
        p_value: of the hypothesis that either model is equally likely to be the right one.
    """

    only_candidate: int
    only_baseline: int
    p_value: float


def mcnemar(rows: Iterable[PredictionRow]) -> McNemar:
    """Tests the difference in the share of examples that are wholly right, two-sided."""
    counts = [0, 0]
    for row in rows:
        right = row.score == 1, row.baseline_score == 1
        if row.score is not None and right[0] != right[1]:
            counts[right[1]] += 1
    only_candidate, only_baseline = counts
    return McNemar(only_candidate, only_baseline, sign_test(only_candidate, only_baseline))


def sign_test(first: int, second: int) -> float:
    """Returns the two-sided p-value of the hypothesis that both outcomes are equally likely.

    >>> round(sign_test(1, 5), 6), sign_test(0, 0)
    (0.21875, 1.0)
    """
    n = first + second
    chosen = [
        math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
        for k in range(min(first, second) + 1)
    ]
    tail = math.exp(float(np.logaddexp.reduce(chosen)) - n * math.log(2))
    return min(1.0, 2 * tail)
