"""Shared parts of the tasks' metrics: names, sums that merge, means and Wilson's interval."""

import math
from collections.abc import Iterable
from dataclasses import fields
from typing import Self

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

SMALLEST_PROBABILITY = 1e-7

EXAMPLE_COUNT = "example_count"
#: Counts beside the metrics: examples that have a class, examples with a NaN or infinity in the
#: answer, and examples without truth of the task, which no metric counts.
SUPPORT = "support"
NON_FINITE = "non_finite_count"
WITHOUT_TRUTH = "examples_without_truth"


class Additive:
    """Dataclass whose fields are sums (or lists): merging adds them up."""

    def merge(self, others: Iterable[Self]) -> Self:
        """Adds the other tallies' counts, and returns self."""
        for other in others:
            for field in fields(self):  # type: ignore[arg-type]
                mine, theirs = (getattr(it, field.name) for it in (self, other))
                mine += theirs
                setattr(self, field.name, mine)
        return self


def class_metric(metric: str, class_name: str) -> str:
    """Returns the name of a class's own metric, such as `recall/Forest`."""
    return f"{metric}/{class_name}"


def ratio(part: float, whole: float) -> float:
    """Returns part over whole; NaN if whole is 0."""
    return float(part / whole) if whole else math.nan


def mean_known(values: Floats) -> float:
    """Returns the mean of the values that are not NaN; NaN if all are."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else math.nan


def precision_recall_f1(right: Floats, predicted: Floats, true: Floats) -> dict[str, Floats]:
    """Computes the metrics of each class [K] from three counts; NaN for a class without truth.

    A class that was never predicted has precision 0.
    """
    known = np.where(true > 0, 1.0, np.nan)
    return {
        "precision": right / np.where(predicted > 0, predicted, 1) * known,
        "recall": right / np.where(true > 0, true, 1) * known,
        "f1": 2 * right / np.where(true + predicted > 0, true + predicted, 1) * known,
    }


def averaged(right: Floats, predicted: Floats, true: Floats) -> dict[str, float]:
    """Computes `macro_*`, over the classes with truth, and `micro_*`, over all decisions."""
    per_class = precision_recall_f1(right, predicted, true)
    macro = {f"macro_{name}": mean_known(values) for name, values in per_class.items()}
    together = precision_recall_f1(*(np.array([it.sum()]) for it in (right, predicted, true)))
    return macro | {f"micro_{name}": float(values[0]) for name, values in together.items()}


def quotients(parts: Floats, wholes: Floats) -> Floats:
    """Divides element by element; NaN where the whole is 0."""
    return np.divide(parts, wholes, out=np.full(parts.shape, np.nan), where=wholes > 0)


def wilson_interval(successes: float, n: int, z: float = 1.959964) -> tuple[float, float]:
    """Computes the Wilson score interval of a proportion (Wilson, 1927), at 95 % by default.

    Without an observation it is (0, 1).

    >>> [round(bound, 2) for bound in wilson_interval(21, 22)]
    [0.78, 0.99]
    """
    if n == 0:
        return 0.0, 1.0
    p = successes / n
    scale = 1.0 + z * z / n
    centre = (p + z * z / (2 * n)) / scale
    half = z / scale * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)
