"""Classification metrics as one mergeable tally, in numpy.

Definitions, with C the confusion counts (true class in rows, predicted class in columns):

- accuracy: trace(C) / n. balanced_accuracy, macro_recall: the mean of the recalls.
- precision, recall, f1 of a class: C[k,k] over its column's sum, over its row's sum, and
  2 C[k,k] over the sum of both. Without a true example of the class all three are NaN; a class
  that was never predicted has precision 0.
- macro_*: the unweighted mean over the classes that have a true example.
- log_loss: the mean of -ln p(true class), with p cut off below at 1e-7.
- brier_score: the mean over examples of the squared distance between probabilities and truth
  (Brier, 1950: from 0 to 2).
- calibration_error: the expected calibration error of the predicted class (Guo et al., 2017,
  arXiv 1706.04599) over 15 equal bins of confidence.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

CALIBRATION_BINS = 15
SMALLEST_PROBABILITY = 1e-7

EXAMPLE_COUNT = "example_count"
#: Metrics with one value a slice.
OVERALL_METRICS = (
    "accuracy",
    "balanced_accuracy",
    "macro_precision",
    "macro_recall",
    "macro_f1",
    "log_loss",
    "brier_score",
    "calibration_error",
)
#: Metrics with one value a class and slice, written `recall/Forest`.
CLASS_METRICS = ("precision", "recall", "f1")
#: Counts that go with them: true examples of a class, and predictions with a NaN or infinity.
SUPPORT = "support"
NON_FINITE = "non_finite_count"


@dataclass
class Tally:
    """What is counted of one model on one slice, for K classes."""

    confusion: Floats  # [K, K]: true class, predicted class
    bins: Floats  # [3, CALIBRATION_BINS]: examples, their summed confidence, the right ones
    log_loss: float = 0.0
    brier: float = 0.0
    non_finite: float = 0.0

    @classmethod
    def empty(cls, class_count: int) -> "Tally":
        """Nothing counted yet."""
        return cls(np.zeros((class_count, class_count)), np.zeros((3, CALIBRATION_BINS)))

    def add(self, label: int, probabilities: npt.NDArray[np.floating]) -> None:
        """Count one example: its class's index and the K probabilities it was given.

        Probabilities that are not finite count as the last class predicted, with a loss of NaN.
        """
        if not np.isfinite(probabilities).all():
            self.confusion[label, -1] += 1
            self.non_finite += 1
            self.log_loss = self.brier = math.nan
            return
        predicted = int(probabilities.argmax())
        confidence = float(probabilities[predicted])
        truth = float(probabilities[label])
        self.confusion[label, predicted] += 1
        index = min(max(int(confidence * CALIBRATION_BINS), 0), CALIBRATION_BINS - 1)
        self.bins[:, index] += (1.0, confidence, float(predicted == label))
        self.log_loss -= math.log(max(truth, SMALLEST_PROBABILITY))
        self.brier += float(probabilities @ probabilities) - 2.0 * truth + 1.0

    def merge(self, others: Iterable["Tally"]) -> "Tally":
        """Take in what others have counted, and return self."""
        for other in others:
            self.confusion += other.confusion
            self.bins += other.bins
            self.log_loss += other.log_loss
            self.brier += other.brier
            self.non_finite += other.non_finite
        return self

    @property
    def examples(self) -> int:
        """How many examples were counted."""
        return int(self.confusion.sum())


def overall_scores(tally: Tally) -> dict[str, float]:
    """The metrics with one value a slice; NaN where nothing defines them."""
    per_class = class_scores(tally)
    n = tally.confusion.sum()
    recall = _mean(per_class["recall"])
    return {
        "accuracy": _ratio(np.trace(tally.confusion), n),
        "balanced_accuracy": recall,
        "macro_precision": _mean(per_class["precision"]),
        "macro_recall": recall,
        "macro_f1": _mean(per_class["f1"]),
        "log_loss": _ratio(tally.log_loss, n),
        "brier_score": _ratio(tally.brier, n),
        "calibration_error": _calibration_error(tally),
        NON_FINITE: tally.non_finite,
    }


def class_scores(tally: Tally) -> dict[str, Floats]:
    """Support, precision, recall and F1, each [K]; NaN for a class without a true example."""
    right = np.diag(tally.confusion)
    support = tally.confusion.sum(axis=1)
    predicted = tally.confusion.sum(axis=0)
    known = np.where(support > 0, 1.0, np.nan)
    return {
        SUPPORT: support,
        "precision": right / np.maximum(predicted, 1) * known,
        "recall": right / np.maximum(support, 1) * known,
        "f1": 2 * right / np.maximum(support + predicted, 1) * known,
    }


def wilson_interval(successes: float, n: int, z: float = 1.959964) -> tuple[float, float]:
    """The Wilson score interval of a proportion (Wilson, 1927), at 95 % by default.

    Without an observation it is (0, 1): nothing is known.
    """
    if n == 0:
        return 0.0, 1.0
    p = successes / n
    scale = 1.0 + z * z / n
    centre = (p + z * z / (2 * n)) / scale
    half = z / scale * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def class_metric(metric: str, class_name: str) -> str:
    """The name of a class's own metric, such as `recall/Forest`."""
    return f"{metric}/{class_name}"


def named_class_scores(tally: Tally, classes: Sequence[str]) -> dict[str, float]:
    """`class_scores` under the names that thresholds use."""
    return {
        class_metric(metric, name): float(value)
        for metric, values in class_scores(tally).items()
        for name, value in zip(classes, values, strict=True)
    }


def _calibration_error(tally: Tally) -> float:
    count, confidence, right = tally.bins
    if tally.non_finite:
        return math.nan
    return _ratio(float(np.abs(confidence - right).sum()), float(count.sum()))


def _mean(values: Floats) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else math.nan


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else math.nan
