"""Metrics of single-label classification, from one mergeable tally.

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
  arXiv 1706.04599) over 15 equal bins of confidence. calibration_excess: that error less the share
due to chance.
"""

import math
from collections.abc import Sequence
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
    text_of,
)
from components.evaluation.tasks.bootstrap import Units
from components.evaluation.tasks.calibration import CALIBRATION_BINS, calibration_scores
from components.evaluation.tasks.class_counts import ClassCounts
from components.evaluation.tasks.measures import (
    NON_FINITE,
    SMALLEST_PROBABILITY,
    SUPPORT,
    Additive,
    Floats,
    class_metric,
    mean_known,
    precision_recall_f1,
    quotients,
    ratio,
)
from components.raster.example import LABEL_TEXT
from serving.tasks.base import PROBABILITIES_OUTPUT


@dataclass
class Tally(Additive):
    """Counts of one model on one slice, for K classes."""

    confusion: Floats  # [K, K]: true class, predicted class
    bins: Floats  # [3, CALIBRATION_BINS]: examples, their summed confidence, the right ones
    replicates: Floats  # [REPLICATES, 2]: right ones and examples, weighted
    classes: ClassCounts = field(default_factory=ClassCounts)
    units: Units = field(default_factory=Units)
    log_loss: float = 0.0
    brier: float = 0.0
    non_finite: float = 0.0

    @classmethod
    def empty(cls, class_count: int) -> "Tally":
        """Returns an empty tally."""
        return cls(
            np.zeros((class_count, class_count)),
            np.zeros((3, CALIBRATION_BINS)),
            np.zeros((bootstrap.REPLICATES, 2)),
        )

    def add(self, label: int, probabilities: npt.NDArray[np.floating], seed: int) -> None:
        """Counts one example: its class's index, its K predicted probabilities and its seed.

        Non-finite probabilities count as a prediction of the last class, with a loss of NaN.
        """
        finite = bool(np.isfinite(probabilities).all())
        right = finite and int(probabilities.argmax()) == label
        self.units.add(seed)
        self.replicates += bootstrap.weights(seed)[:, np.newaxis] * (float(right), 1.0)
        predicted = int(probabilities.argmax()) if finite else len(probabilities) - 1
        counts = np.zeros((3, len(probabilities)))
        counts[[1, 2], [predicted, label]] = 1
        counts[0, label] = predicted == label
        self.classes.add(counts, seed)
        if not finite:
            self.confusion[label, -1] += 1
            self.non_finite += 1
            self.log_loss = self.brier = math.nan
            return
        confidence = float(probabilities[predicted])
        truth = float(probabilities[label])
        self.confusion[label, predicted] += 1
        index = min(max(int(confidence * CALIBRATION_BINS), 0), CALIBRATION_BINS - 1)
        self.bins[:, index] += (1.0, confidence, float(right))
        self.log_loss -= math.log(max(truth, SMALLEST_PROBABILITY))
        self.brier += float(probabilities @ probabilities) - 2.0 * truth + 1.0

    @property
    def examples(self) -> int:
        """Number of examples."""
        return int(self.confusion.sum())


def overall_scores(tally: Tally) -> dict[str, float]:
    """Computes the metrics with one value per slice; NaN where undefined."""
    per_class = class_scores(tally)
    n = tally.confusion.sum()
    recall = mean_known(per_class["recall"])
    return {
        "accuracy": ratio(np.trace(tally.confusion), n),
        "balanced_accuracy": recall,
        "macro_precision": mean_known(per_class["precision"]),
        "macro_recall": recall,
        "macro_f1": mean_known(per_class["f1"]),
        "log_loss": ratio(tally.log_loss, n),
        "brier_score": ratio(tally.brier, n),
        **calibration_scores(tally.bins, tally.non_finite),
        NON_FINITE: tally.non_finite,
    }


def class_scores(tally: Tally) -> dict[str, Floats]:
    """Computes support, precision, recall and F1, each [K]; NaN for a class without truth."""
    support = tally.confusion.sum(axis=1)
    predicted = tally.confusion.sum(axis=0)
    scores = precision_recall_f1(np.diag(tally.confusion), predicted, support)
    return {SUPPORT: support, **scores}


def named_class_scores(tally: Tally, classes: Sequence[str]) -> dict[str, float]:
    """Returns `class_scores` by their names in thresholds."""
    return {
        class_metric(metric, name): float(value)
        for metric, values in class_scores(tally).items()
        for name, value in zip(classes, values, strict=True)
    }


class SingleLabel(EvaluatedTask[Tally]):
    """Single-label classification: one class per image."""

    task = "single_label"
    outputs = (PROBABILITIES_OUTPUT,)
    truth = (LABEL_TEXT,)
    overall_metrics = (
        "accuracy",
        "balanced_accuracy",
        "macro_precision",
        "macro_recall",
        "macro_f1",
        "log_loss",
        "brier_score",
        "calibration_error",
        "calibration_excess",
    )
    class_metrics = ("precision", "recall", "f1")
    title = "accuracy"
    headline = "accuracy"
    decision_unit = "example"
    is_share = True
    columns = {"macro F1": "macro_f1", "log loss": "log_loss"}
    first_threshold = FirstThreshold("accuracy")

    def observe(self, features: Features, answer: AnswerRow, frame: Frame) -> Observation:
        """Returns the label's place in the space, and the probabilities of the space.

        An example without a label has the unknown class; a class that the model does not know
        has probability 0.
        """
        (label,) = frame.indices(features.get(LABEL_TEXT) or (b"",))
        probabilities = np.zeros(len(frame.space), np.float32)
        probabilities[frame.of_model] = answer[PROBABILITIES_OUTPUT]
        return np.array([label]), probabilities

    def judged(self, features: Features, observation: Observation, frame: Frame) -> Judged:
        """Returns label, most probable class, 1 if they are equal and 0 if not, and log loss."""
        labels, probabilities = observation
        label = int(labels.item())
        truth = next(map(text_of, features.get(LABEL_TEXT, ())), None)
        if not np.isfinite(probabilities).all():
            return Judged(truth, score=0.0)
        predicted = int(probabilities.argmax())
        return Judged(
            truth,
            frame.space[predicted],
            float(probabilities[predicted]),
            float(predicted == label),
            -math.log(max(float(probabilities[label]), SMALLEST_PROBABILITY)),
            probabilities[frame.of_model],
        )

    def pair(
        self, features: Features, answer: AnswerRow, frame: Frame
    ) -> tuple[int, npt.NDArray[Any]]:
        """Returns the label's place, and the probabilities of the space, float32 [K]."""
        (label,), probabilities = self.observe(features, answer, frame)
        return int(label), probabilities

    def empty(self, class_count: int) -> Tally:
        return Tally.empty(class_count)

    def add(
        self, tally: Tally, labels: npt.NDArray[Any], predictions: npt.NDArray[Any], seed: int
    ) -> None:
        tally.add(int(labels.item()), predictions, seed)

    def overall(self, tally: Tally) -> dict[str, float]:
        return overall_scores(tally)

    def units(self, tally: Tally) -> Units:
        return tally.units

    def calibration(self, tally: Tally) -> Floats:
        return tally.bins

    def replicated(self, tally: Tally) -> Replicated:
        right, examples = tally.replicates.T
        count = len(tally.confusion)
        of_classes = tally.classes.intervals(self.class_metrics, count, of_examples=True)
        return Replicated(quotients(right, examples), of_classes)

    def per_class(self, tally: Tally) -> dict[str, Floats]:
        return class_scores(tally)

    def confusion(self, tally: Tally) -> Floats:
        return tally.confusion


TASK = SingleLabel()
