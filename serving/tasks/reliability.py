"""Reliability of an answer, as read by a client."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

#: Score of unknown imagery, and its percentile among the scores of the eval split.
UNKNOWN_SCORE_OUTPUT = "unknown_score"
UNKNOWN_PERCENTILE_OUTPUT = "unknown_percentile"
#: Classes [K] of the conformal set, and the interval (low, high) of a number.
CONFORMAL_SET_OUTPUT = "conformal_set"
INTERVAL_OUTPUT = "interval"
#: Disagreement of the members of an ensemble.
DISAGREEMENT_OUTPUT = "disagreement"
RELIABILITY_OUTPUTS = (
    UNKNOWN_SCORE_OUTPUT,
    UNKNOWN_PERCENTILE_OUTPUT,
    CONFORMAL_SET_OUTPUT,
    INTERVAL_OUTPUT,
    DISAGREEMENT_OUTPUT,
)

_CLASSES = "classes"


@dataclass(frozen=True)
class Reliability:
    """Reliability that a model adds to its answer; fields that it does not report are None.

    Attributes:
        unknown_score: the higher, the less the image resembles the training's.
        unknown_percentile: share of the eval split, in percent, with no higher score.
        classes: the conformal set, which contains the true class at the contract's level.
        interval: from low to high, which likewise contains the true number.
        disagreement: of an ensemble's members: the mutual information of class and member, in nats,
            or the standard deviation of their numbers; 0 if all agree.
    """

    unknown_score: float | None = None
    unknown_percentile: float | None = None
    classes: tuple[str, ...] | None = None
    interval: tuple[float, float] | None = None
    disagreement: float | None = None

    def values(self) -> dict[str, Any]:
        """Returns the reported fields as plain values; an infinite limit is None."""
        found = {
            UNKNOWN_SCORE_OUTPUT: self.unknown_score,
            UNKNOWN_PERCENTILE_OUTPUT: self.unknown_percentile,
            CONFORMAL_SET_OUTPUT: None if self.classes is None else list(self.classes),
            INTERVAL_OUTPUT: self.interval
            and [end if math.isfinite(end) else None for end in self.interval],
            DISAGREEMENT_OUTPUT: self.disagreement,
        }
        return {name: value for name, value in found.items() if value is not None}

    def as_text(self) -> str:
        """Returns the reported fields in words."""
        parts = []
        if self.classes is not None:
            parts.append(f"one of {', '.join(self.classes)}")
        if self.interval is not None:
            parts.append(f"from {self.interval[0]:.6g} to {self.interval[1]:.6g}")
        if self.unknown_percentile is not None:
            parts.append(f"unknown at percentile {self.unknown_percentile:.0f}")
        if self.disagreement is not None:
            parts.append(f"disagreement {self.disagreement:.3g}")
        return "; ".join(parts)

    def difference(self, served: "Reliability | None", tolerance: float) -> str:
        """Describes how a server's reliability differs; empty if they agree.

        A set or a percentile may differ if a number is within the tolerance of a bound.
        """
        if served is None or self.values().keys() != served.values().keys():
            return "it reports other fields of its reliability"
        pairs = [(self.unknown_score or 0.0, served.unknown_score or 0.0)]
        pairs.append((self.disagreement or 0.0, served.disagreement or 0.0))
        pairs += zip(self.interval or (), served.interval or (), strict=True)
        for wanted, given in pairs:
            near = abs(given - wanted) <= tolerance * max(1.0, abs(wanted))
            if not (near or wanted == given):
                return f"its reliability has {given:.6g}, not {wanted:.6g}"
        return ""


def read_reliability(
    outputs: Mapping[str, npt.NDArray[Any]], count: int
) -> list[Reliability] | None:
    """Converts outputs of N rows to the reliability of each answer; None if there is none."""
    if not set(RELIABILITY_OUTPUTS) & outputs.keys():
        return None

    def number(name: str, row: int) -> float | None:
        return float(outputs[name][row]) if name in outputs else None

    def classes(row: int) -> tuple[str, ...] | None:
        if CONFORMAL_SET_OUTPUT not in outputs:
            return None
        names = zip(outputs[_CLASSES][row], outputs[CONFORMAL_SET_OUTPUT][row], strict=True)
        return tuple(name.decode() for name, is_in in names if is_in)

    def interval(row: int) -> tuple[float, float] | None:
        if INTERVAL_OUTPUT not in outputs:
            return None
        low, high = map(float, outputs[INTERVAL_OUTPUT][row])
        return low, high

    return [
        Reliability(
            number(UNKNOWN_SCORE_OUTPUT, row),
            number(UNKNOWN_PERCENTILE_OUTPUT, row),
            classes(row),
            interval(row),
            number(DISAGREEMENT_OUTPUT, row),
        )
        for row in range(count)
    ]
