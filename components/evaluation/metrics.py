"""A task's tally as a TFMA metric, so that TFMA slices, compares and stores it."""

from collections.abc import Iterable, Mapping
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.metrics.metric_types import StandardMetricInputsPreprocessor
from tensorflow_model_analysis.metrics.multi_class_confusion_matrix_metrics import (
    Matrices,
    MatrixEntryKey,
)

from components.evaluation.tasks.bootstrap import CLASS_INTERVALS, REPLICATED
from components.evaluation.tasks.calibration import CALIBRATION
from components.evaluation.tasks.measures import EXAMPLE_COUNT, Floats
from components.evaluation.tasks.registry import evaluated_task
from components.raster.task import SINGLE_LABEL, Task

#: Key of an extract with the seed of the example's unit (see `tasks.bootstrap`).
SEED = "seed"
#: Name of the confusion matrix in TFMA's own metrics and its viewers.
CONFUSION = "multi_class_confusion_matrix_at_thresholds"


class TaskScores(tfma.metrics.Metric):
    """All metrics of a task, from one pass over the examples.

    Metrics of a slice are stored by their names, those of a class also by its class id. The example
    count and the confusion matrix have the names, types and values of TFMA's own metrics; computing
    those beside this one takes more than twice as long. TFMA's COCO metrics would take ten
    computations for each class, each over 10,000 thresholds.
    """

    def __init__(
        self, class_count: int, task: Task = SINGLE_LABEL, name: str = "task_scores"
    ) -> None:
        """Args: `class_count` K, the classes of the space; `name` only distinguishes instances."""
        super().__init__(_computations, class_count=class_count, task=task, name=name)


def _computations(
    class_count: int,
    task: Task,
    name: str,
    model_names: list[str] | None = None,
) -> list[Any]:
    return [
        tfma.metrics.MetricComputation(
            keys=[tfma.metrics.MetricKey(name=name, model_name=model_name)],
            preprocessors=[StandardMetricInputsPreprocessor({SEED: {}}, name=name)],
            combiner=_ScoresFn(task, class_count, model_name),
        )
        for model_name in model_names or [""]
    ]


class _ScoresFn(beam.CombineFn):
    def __init__(self, task: Task, class_count: int, model_name: str) -> None:
        self._evaluated = evaluated_task(task)
        self._class_count = class_count
        self._model_name = model_name

    def create_accumulator(self) -> Any:
        return self._evaluated.empty(self._class_count)

    def add_input(self, tally: Any, inputs: Any) -> Any:
        labels = inputs.get_labels(model_name=self._model_name)
        predictions = inputs.get_predictions(model_name=self._model_name)
        self._evaluated.add(tally, labels, predictions, int(inputs[SEED].item()))
        return tally

    def merge_accumulators(self, tallies: Iterable[Any]) -> Any:
        return self._evaluated.empty(self._class_count).merge(tallies)

    def extract_output(self, tally: Any) -> dict[Any, Any]:
        result: dict[Any, Any] = {self._key(EXAMPLE_COUNT): float(tally.examples)}
        calibration = self._evaluated.calibration(tally)
        if calibration is not None:
            result[self._key(CALIBRATION)] = calibration.ravel()
        confusion = self._evaluated.confusion(tally)
        if confusion is not None:
            result[self._key(CONFUSION)] = matrix(confusion)
        replicated = self._evaluated.replicated(tally)
        result[self._key(REPLICATED)] = replicated.headline
        result[self._key(CLASS_INTERVALS)] = self._packed(replicated.class_intervals)
        bounds = self._evaluated.bounds(tally, replicated.headline)
        for name, value in (self._evaluated.overall(tally) | bounds).items():
            result[self._key(name)] = value
        for metric, values in self._evaluated.per_class(tally).items():
            for class_id, value in enumerate(values):
                result[self._key(metric, class_id)] = float(value)
        return result

    def _packed(self, intervals: Mapping[str, Floats]) -> Floats:
        """Packs the intervals of all metrics of a class into one array; NaN for unknown ones."""
        unknown = np.full((self._class_count, 2), np.nan)
        found = [intervals.get(name, unknown) for name in self._evaluated.class_metrics]
        return np.array(found).ravel()

    def _key(self, metric: str, class_id: int | None = None) -> Any:
        sub_key = None if class_id is None else tfma.metrics.SubKey(class_id=class_id)
        return tfma.metrics.MetricKey(metric, model_name=self._model_name, sub_key=sub_key)


def matrix(confusion: Floats) -> Any:
    """Converts confusion counts [K, K] to TFMA's form: the most probable class at threshold 0."""
    entries = {
        MatrixEntryKey(int(actual), int(predicted)): float(confusion[actual, predicted])
        for actual, predicted in zip(*np.nonzero(confusion), strict=True)
    }
    return Matrices({0.0: entries})
