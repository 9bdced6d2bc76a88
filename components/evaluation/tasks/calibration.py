"""Calibration: gap between confidence and the share of right answers, by bins of confidence.

Even a perfectly calibrated model has an expected calibration error above 0, because each bin holds
few examples: with n examples of mean confidence p, the number of right ones is binomial, and its
mean absolute deviation from n p is known in closed form (De Moivre; Diaconis and Zabell, 1991,
"Closed form summation for classical distributions"). The sum over the bins is the error due to
chance, if the examples are independent; `calibration_excess` is the rest.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from components.evaluation.tasks.measures import Floats, ratio

CALIBRATION_BINS = 15
#: Array beside the metrics: the bins of a slice, [3, CALIBRATION_BINS] in one row.
CALIBRATION = "calibration_bins"


def calibration_row(confidence: Floats, right: npt.NDArray[np.bool_]) -> Floats:
    """Bins N predictions: counts, summed confidence and right ones, [3, CALIBRATION_BINS]."""
    indices = np.clip((confidence * CALIBRATION_BINS).astype(int), 0, CALIBRATION_BINS - 1)
    weights = (np.ones_like(confidence), confidence, right.astype(np.float64))
    return np.stack([np.bincount(indices, w, CALIBRATION_BINS) for w in weights])


def calibration_error(bins: Floats) -> float:
    """Computes the expected calibration error (Guo et al., 2017, arXiv 1706.04599), equal bins."""
    count, confidence, right = bins
    return ratio(float(np.abs(confidence - right).sum()), float(count.sum()))


def chance_error(bins: Floats) -> float:
    """Computes the mean calibration error of a perfectly calibrated model with these confidences.

    All examples of a bin count as equally confident, an error of less than a bin's width.

    >>> round(chance_error(np.array([[100.0], [90.0], [90.0]])), 4)  # 0.9 of 100 examples
    0.0237
    """
    count, confidence, _ = bins
    apart = sum(
        _mean_deviation(round(n), min(c / n, 1.0))
        for n, c in zip(count.tolist(), confidence.tolist(), strict=True)
        if n
    )
    return ratio(apart, float(count.sum()))


def _mean_deviation(n: int, p: float) -> float:
    """Computes the mean of |X - n p| of a binomial X: 2 v (1 - p) P(X = v), v above n p."""
    if not 0 < p < 1:
        return 0.0
    v = math.floor(n * p) + 1
    if v > n:
        return 2 * n * (1 - p) * p**n
    chosen = math.lgamma(n + 1) - math.lgamma(v + 1) - math.lgamma(n - v + 1)
    return 2 * v * (1 - p) * math.exp(chosen + v * math.log(p) + (n - v) * math.log1p(-p))


def calibration_scores(bins: Floats, non_finite: float) -> dict[str, float]:
    """Returns the error and its excess over chance; NaN if an answer is not finite."""
    error = math.nan if non_finite else calibration_error(bins)
    return {"calibration_error": error, "calibration_excess": error - chance_error(bins)}


@dataclass(frozen=True)
class ReliabilityBin:
    """A bin of confidence from `low` to `high`: examples, mean confidence and share of right ones.

    Examples are decisions for several classes per image, and pixels in segmentation.
    """

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


def reliability(bins: Floats) -> tuple[ReliabilityBin, ...]:
    """Returns the bins that hold examples."""
    return tuple(
        ReliabilityBin(
            place / CALIBRATION_BINS, (place + 1) / CALIBRATION_BINS, round(n), c / n, right / n
        )
        for place, (n, c, right) in enumerate(bins.T.tolist())
        if n
    )
