"""Metrics of regression: one number per image.

Definitions, with e the answer minus the truth y over n examples:

- mae, bias: the means of |e| and of e. rmse: the square root of the mean of e squared.
- r2: 1 - sum of e squared over the sum of squared distances of y from its mean; NaN where all
  truths are equal.
- median_absolute_error: from |e| counted in bins of 1 % width, so accurate to 0.5 %; below
  1e-12 it is 0, and from 1e12 on infinite.
"""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from components.evaluation.tasks import bootstrap
from components.evaluation.tasks.base import (
    AnswerRow,
    EvaluatedTask,
    Features,
    FirstThreshold,
    Frame,
    Judged,
    Observation,
    Replicated,
)
from components.evaluation.tasks.bootstrap import Units
from components.evaluation.tasks.measures import (
    NON_FINITE,
    WITHOUT_TRUTH,
    Additive,
    Floats,
    quotients,
    ratio,
)
from components.raster.example import NUMBER
from serving.tasks.regression.answer import VALUE_OUTPUT

_SMALLEST, _LARGEST, _STEP = 1e-12, 1e12, math.log(1.01)
_BINS = math.ceil(math.log(_LARGEST / _SMALLEST) / _STEP)


@dataclass
class Tally(Additive):
    """Sums over the examples that have a truth."""

    sums: Floats  # [6]: 1, |e|, e, e squared, y, y squared
    errors: Floats  # [_BINS + 2]: examples by |e|; the first and last bin are open
    replicates: Floats  # [REPLICATES, 2]: 1 and |e|, weighted
    units: Units = field(default_factory=Units)
    examples: int = 0
    non_finite: float = 0.0

    @classmethod
    def empty(cls) -> "Tally":
        """Returns an empty tally."""
        return cls(np.zeros(6), np.zeros(_BINS + 2), np.zeros((bootstrap.REPLICATES, 2)))

    def add(self, truth: float, value: float, seed: int) -> None:
        """Counts one example; a non-finite value makes all metrics but the median NaN."""
        self.examples += 1
        error = value - truth if math.isfinite(value) else math.nan
        size = abs(error)
        self.non_finite += not math.isfinite(value)
        self.sums += (1.0, size, error, error * error, truth, truth * truth)
        self.errors[_bin(size)] += 1
        self.units.add(seed)
        self.replicates += bootstrap.weights(seed)[:, np.newaxis] * (1.0, size)


def _bin(size: float) -> int:
    if size < _SMALLEST:
        return 0
    if not size < _LARGEST:
        return _BINS + 1
    return 1 + min(int(math.log(size / _SMALLEST) / _STEP), _BINS - 1)


def median_error(tally: Tally) -> float:
    """Computes the median of |e|, from the bins."""
    n = int(tally.errors.sum())
    if n == 0:
        return math.nan
    reached = np.cumsum(tally.errors)
    middle = [int(np.searchsorted(reached, order, "right")) for order in ((n - 1) // 2, n // 2)]
    return sum(map(_size, middle)) / 2


def _size(index: int) -> float:
    """Returns the geometric middle of a bin."""
    if index == 0:
        return 0.0
    return _SMALLEST * math.exp((index - 0.5) * _STEP) if index <= _BINS else math.inf


class Regression(EvaluatedTask[Tally]):
    """Regression: one number per image."""

    task = "regression"
    outputs = (VALUE_OUTPUT,)
    truth = (NUMBER,)
    overall_metrics = ("mae", "rmse", "bias", "r2", "median_absolute_error", WITHOUT_TRUTH)
    title = "MAE"
    headline = "mae"
    columns = {"RMSE": "rmse", "bias": "bias", "R2": "r2"}
    first_threshold = FirstThreshold("r2", 0.0, "better than always the mean")
    answer_noun = "value"

    def observe(self, features: Features, answer: AnswerRow, frame: Frame) -> Observation:
        """Returns the truth, if there is one, and the value."""
        truth = np.array([float(value) for value in features.get(NUMBER, ())[:1]])
        return truth, np.asarray(answer[VALUE_OUTPUT], np.float64).reshape(1)

    def judged(self, features: Features, observation: Observation, frame: Frame) -> Judged:
        """Returns the two numbers as text, and the absolute error."""
        truth, (value,) = observation
        known = float(truth[0]) if truth.size else None
        return Judged(
            None if known is None else f"{known:.9g}",
            f"{value:.9g}" if math.isfinite(value) else None,
            loss=None if known is None or not math.isfinite(value) else abs(float(value) - known),
        )

    def pair(
        self, features: Features, answer: AnswerRow, frame: Frame
    ) -> tuple[float, float] | None:
        """Returns the true number and the model's."""
        truth, (value,) = self.observe(features, answer, frame)
        return (float(truth[0]), float(value)) if truth.size else None

    def empty(self, class_count: int) -> Tally:
        return Tally.empty()

    def add(
        self, tally: Tally, labels: npt.NDArray[Any], predictions: npt.NDArray[Any], seed: int
    ) -> None:
        if labels.size:
            tally.add(float(labels[0]), float(predictions[0]), seed)
        else:
            tally.examples += 1

    def overall(self, tally: Tally) -> dict[str, float]:
        n, size, error, squared, y, y_squared = tally.sums
        spread = y_squared - ratio(y * y, n)
        constant = not spread > 1e-12 * y_squared  # equal truths leave a rounding error
        return {
            "mae": ratio(size, n),
            "rmse": math.sqrt(ratio(squared, n)),
            "bias": ratio(error, n),
            "r2": math.nan if constant else 1.0 - squared / spread,
            "median_absolute_error": median_error(tally),
            NON_FINITE: tally.non_finite,
            WITHOUT_TRUTH: tally.examples - n,
        }

    def units(self, tally: Tally) -> Units:
        return tally.units

    def replicated(self, tally: Tally) -> Replicated:
        count, sizes = tally.replicates.T
        return Replicated(quotients(sizes, count))


TASK = Regression()
