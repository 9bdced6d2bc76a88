"""The tally of `scores` as a TFMA metric, so that TFMA slices, compares and stores it."""

from collections.abc import Iterable
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.metrics.multi_class_confusion_matrix_metrics import (
    Matrices,
    MatrixEntryKey,
)

from components.evaluation.scores import EXAMPLE_COUNT, Tally, class_scores, overall_scores

#: The name under which TFMA's own metric, and its viewers, have the confusion matrix.
CONFUSION = "multi_class_confusion_matrix_at_thresholds"


class ClassificationScores(tfma.metrics.Metric):
    """Everything that `scores` defines, from one pass over the examples.

    Metrics of a slice stand under their names, those of a class also under its class id. The
    example count and the confusion matrix have the names and types of TFMA's own metrics and the
    same values; computing those beside this one takes more than twice the time.
    """

    def __init__(self, class_count: int, name: str = "classification_scores") -> None:
        """Args: `class_count` K, the length of a prediction; `name` only tells it apart."""
        super().__init__(_computations, class_count=class_count, name=name)


def _computations(
    class_count: int,
    name: str,
    model_names: list[str] | None = None,
) -> list[Any]:
    return [
        tfma.metrics.MetricComputation(
            keys=[tfma.metrics.MetricKey(name=name, model_name=model_name)],
            preprocessors=None,
            combiner=_ScoresFn(class_count, model_name),
        )
        for model_name in model_names or [""]
    ]


class _ScoresFn(beam.CombineFn):
    def __init__(self, class_count: int, model_name: str) -> None:
        self._class_count = class_count
        self._model_name = model_name

    def create_accumulator(self) -> Tally:
        return Tally.empty(self._class_count)

    def add_input(self, tally: Tally, inputs: Any) -> Tally:
        label = inputs.get_labels(model_name=self._model_name)
        tally.add(int(label.item()), inputs.get_predictions(model_name=self._model_name))
        return tally

    def merge_accumulators(self, tallies: Iterable[Tally]) -> Tally:
        return Tally.empty(self._class_count).merge(tallies)

    def extract_output(self, tally: Tally) -> dict[Any, Any]:
        result: dict[Any, Any] = {
            self._key(EXAMPLE_COUNT): float(tally.examples),
            self._key(CONFUSION): matrix(tally),
        }
        for name, value in overall_scores(tally).items():
            result[self._key(name)] = value
        for metric, values in class_scores(tally).items():
            for class_id, value in enumerate(values):
                result[self._key(metric, class_id)] = float(value)
        return result

    def _key(self, metric: str, class_id: int | None = None) -> Any:
        sub_key = None if class_id is None else tfma.metrics.SubKey(class_id=class_id)
        return tfma.metrics.MetricKey(metric, model_name=self._model_name, sub_key=sub_key)


def matrix(tally: Tally) -> Any:
    """The confusion counts as TFMA has them: the most probable class at the threshold 0."""
    entries = {
        MatrixEntryKey(int(actual), int(predicted)): float(tally.confusion[actual, predicted])
        for actual, predicted in zip(*np.nonzero(tally.confusion), strict=True)
    }
    return Matrices({0.0: entries})
