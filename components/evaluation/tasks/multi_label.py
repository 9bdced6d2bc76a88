"""Metrics of multi-label classification: several classes per image, or none.

Definitions, over n examples and K classes, where a decision is one class of one example:

- exact_match: share of examples with all of their classes found, and no others.
- hamming_loss: share of the n K decisions that are wrong.
- precision, recall, f1 of a class from its decisions; macro_* is their mean over the classes that
  have a true example, micro_* counts all decisions together.
- average_precision of a class: the sum over falling thresholds of precision times the gain in
  recall, as scikit-learn defines it; scores are counted in bins of 0.02 of their logit, so scores
  in one bin count as equal. mean_average_precision: its mean over the classes that have a true
  example.
- log_loss: the mean over decisions of the binary cross-entropy; p is cut off 1e-7 from 0 and 1.
- calibration_error: the expected calibration error of the classes' probabilities, all decisions
  together, over 15 equal bins. calibration_excess: that error less the share due to chance.
"""

import math
from dataclasses import dataclass, field, replace
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
    joined,
    text_of,
)
from components.evaluation.tasks.bootstrap import Units
from components.evaluation.tasks.calibration import (
    CALIBRATION_BINS,
    calibration_row,
    calibration_scores,
)
from components.evaluation.tasks.class_counts import ClassCounts
from components.evaluation.tasks.measures import (
    NON_FINITE,
    SMALLEST_PROBABILITY,
    SUPPORT,
    WITHOUT_TRUTH,
    Additive,
    Floats,
    averaged,
    mean_known,
    precision_recall_f1,
    quotients,
    ratio,
)
from components.raster.example import LABELS_TEXT
from serving.tasks.base import PROBABILITIES_OUTPUT
from serving.tasks.multi_label.answer import PRESENT_OUTPUT

_BIN_LOGITS = 0.02
_LARGEST_LOGIT = 16.2  # that of SMALLEST_PROBABILITY is -16.12
_BINS = round(2 * _LARGEST_LOGIT / _BIN_LOGITS)


@dataclass
class Tally(Additive):
    """Counts for K classes; the last class is the unknown one."""

    decisions: Floats  # [3, K]: rightly found, found, true
    scores: Floats  # [2, K, _BINS]: examples without and with the class, by the logit of its score
    bins: Floats  # [3, CALIBRATION_BINS]: decisions, their summed probability, the true ones
    replicates: Floats  # [REPLICATES, 2]: exact matches and examples, weighted
    classes: ClassCounts = field(default_factory=ClassCounts)
    units: Units = field(default_factory=Units)
    examples: int = 0
    judged: float = 0.0
    exact: float = 0.0
    log_loss: float = 0.0
    non_finite: float = 0.0

    @classmethod
    def empty(cls, class_count: int) -> "Tally":
        """Returns an empty tally."""
        return cls(
            np.zeros((3, class_count)),
            np.zeros((2, class_count, _BINS), np.float64),
            np.zeros((3, CALIBRATION_BINS)),
            np.zeros((bootstrap.REPLICATES, 2)),
        )

    def add(
        self,
        true: npt.NDArray[np.bool_],
        found: npt.NDArray[np.bool_],
        probabilities: Floats,
        seed: int,
    ) -> None:
        """Counts one example: its true classes, found classes and probabilities, each [K], and
        seed.

        If a probability is not finite, nothing counts as found, and the losses are NaN.
        """
        self.examples += 1
        self.judged += 1
        finite = bool(np.isfinite(probabilities).all())
        exact = finite and bool((true == found).all())
        self.units.add(seed)
        self.replicates += bootstrap.weights(seed)[:, np.newaxis] * (float(exact), 1.0)
        found = found & finite
        decided = np.array((true & found, found, true), np.float64)
        self.decisions += decided
        self.classes.add(decided, seed)
        if not finite:
            self.non_finite += 1
            self.log_loss = math.nan
            return
        self.exact += exact
        clipped = np.clip(probabilities, SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY)
        logits = np.log(clipped) - np.log1p(-clipped)
        index = ((logits + _LARGEST_LOGIT) / _BIN_LOGITS).astype(int)
        self.scores[true.astype(int), np.arange(len(true)), index] += 1
        self.bins += calibration_row(probabilities[:-1], true[:-1])
        self.log_loss += float(decision_losses(true, probabilities).sum())


def decision_losses(true: npt.NDArray[np.bool_], probabilities: Floats) -> Floats:
    """Computes the log loss of each decision [K]; the unknown class counts only if it is true."""
    clipped = np.clip(probabilities, SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY)
    losses: Floats = -np.log(np.where(true, clipped, 1 - clipped))
    losses[-1] = -math.log(SMALLEST_PROBABILITY) if true[-1] else 0.0
    return losses


def average_precisions(tally: Tally) -> Floats:
    """Returns [K]; NaN for a class without a true example, and for all if a score is not finite."""
    without, with_class = np.cumsum(tally.scores[:, :, ::-1], axis=2)
    gain = np.diff(with_class, axis=1, prepend=0.0)
    precision = with_class / np.maximum(with_class + without, 1)
    true = with_class[:, -1]
    values = (precision * gain).sum(axis=1) / np.maximum(true, 1)
    return np.where((true > 0) & (tally.non_finite == 0), values, np.nan)


class MultiLabel(EvaluatedTask[Tally]):
    """Multi-label classification: several classes per image, or none."""

    task = "multi_label"
    outputs = (PROBABILITIES_OUTPUT, PRESENT_OUTPUT)
    truth = (LABELS_TEXT,)
    overall_metrics = (
        "exact_match",
        "hamming_loss",
        "macro_precision",
        "macro_recall",
        "macro_f1",
        "micro_precision",
        "micro_recall",
        "micro_f1",
        "mean_average_precision",
        "log_loss",
        "calibration_error",
        "calibration_excess",
        WITHOUT_TRUTH,
    )
    class_metrics = ("precision", "recall", "f1", "average_precision")
    title = "exact match"
    headline = "exact_match"
    decision_unit = "example"
    is_share = True
    columns = {
        "macro F1": "macro_f1",
        "mean AP": "mean_average_precision",
    }
    first_threshold = FirstThreshold("micro_f1", 0.3)

    def observe(self, features: Features, answer: AnswerRow, frame: Frame) -> Observation:
        """Returns the true classes in the space [K], and probabilities and found classes [2, K]."""
        predictions = np.zeros((2, len(frame.space)))
        predictions[0, frame.of_model] = answer[PROBABILITIES_OUTPUT]
        predictions[1, frame.of_model] = answer[PRESENT_OUTPUT]
        if LABELS_TEXT not in features:
            return np.zeros(0, bool), predictions
        true = np.zeros(len(frame.space), bool)
        true[frame.indices(features[LABELS_TEXT])] = True
        return true, predictions

    def judged(self, features: Features, observation: Observation, frame: Frame) -> Judged:
        """Returns the true and the found classes, their Jaccard index, and the mean log loss.

        The confidence is that of the least confident decision: the probability nearest to 0.5.
        """
        true, (probabilities, found) = observation
        truth = joined(map(text_of, features[LABELS_TEXT])) if true.size else None
        if not np.isfinite(probabilities).all():
            return Judged(truth, score=0.0 if true.size else None)
        own = probabilities[frame.of_model]
        answer = Judged(
            truth,
            joined(np.array(frame.space)[found > 0].tolist()),
            float(np.maximum(own, 1 - own).min()),
            probabilities=own.astype(np.float32),
        )
        if not true.size:
            return answer
        either = float((true | (found > 0)).sum())
        both = float((true & (found > 0)).sum())
        loss = decision_losses(true, probabilities).sum() / (len(true) - 1)
        return replace(answer, score=both / either if either else 1.0, loss=float(loss))

    def pair(
        self, features: Features, answer: AnswerRow, frame: Frame
    ) -> tuple[npt.NDArray[Any], npt.NDArray[Any]] | None:
        """Returns the presence of each class, bool [K], and their probabilities [K]."""
        true, (probabilities, _) = self.observe(features, answer, frame)
        return (true, probabilities) if true.size else None

    def empty(self, class_count: int) -> Tally:
        return Tally.empty(class_count)

    def add(
        self, tally: Tally, labels: npt.NDArray[Any], predictions: npt.NDArray[Any], seed: int
    ) -> None:
        if labels.size:
            tally.add(labels, predictions[1] > 0, predictions[0], seed)
        else:
            tally.examples += 1

    def overall(self, tally: Tally) -> dict[str, float]:
        right, found, true = tally.decisions
        n, classes = tally.judged, len(true) - 1
        wrong = float((found + true - 2 * right).sum())
        return {
            "exact_match": ratio(tally.exact, n),
            "hamming_loss": ratio(wrong, n * classes),
            **averaged(right, found, true),
            "mean_average_precision": mean_known(average_precisions(tally)),
            "log_loss": ratio(tally.log_loss, n * classes),
            **calibration_scores(tally.bins, tally.non_finite),
            NON_FINITE: tally.non_finite,
            WITHOUT_TRUTH: tally.examples - tally.judged,
        }

    def units(self, tally: Tally) -> Units:
        return tally.units

    def calibration(self, tally: Tally) -> Floats:
        return tally.bins

    def replicated(self, tally: Tally) -> Replicated:
        exact, examples = tally.replicates.T
        count = tally.decisions.shape[1]
        of_classes = tally.classes.intervals(self.class_metrics, count, of_examples=True)
        return Replicated(quotients(exact, examples), of_classes)

    def per_class(self, tally: Tally) -> dict[str, Floats]:
        right, found, true = tally.decisions
        return {
            SUPPORT: true,
            **precision_recall_f1(right, found, true),
            "average_precision": average_precisions(tally),
        }


TASK = MultiLabel()
