"""User-defined metrics: one call for each example, summed by TFMA."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.metrics.metric_types import StandardMetricInputsPreprocessor

from components.evaluation.own_metric_config import CustomMetric
from components.evaluation.tasks.base import AnswerRow, EvaluatedTask, Features, Frame
from components.raster.errors import ConfigError
from components.raster.messages import first_line

#: Key of an extract with the sums, by model; and of the metrics in TFMA's config.
OWN_VALUES = "own_values"

#: Part and whole of each of M metrics on one example: [M, 2].
Sums = npt.NDArray[np.float64]


class OwnMetrics:
    """Functions of the configured metrics, imported in the process that calls them.

    Args:
        configs: the metrics.
        classes: names of the classes of truth and prediction, the unknown one last.

    Raises:
        ConfigError: one cannot be imported, or does not accept its arguments.
    """

    def __init__(self, configs: Sequence[CustomMetric], classes: Sequence[str]) -> None:
        self._configs = tuple(configs)
        self._functions: list[Callable[..., Any]] = [
            each.bound(key_of(number), classes=tuple(classes))
            for number, each in enumerate(self._configs)
        ]

    def sums(
        self, task: EvaluatedTask[Any], features: Features, answer: AnswerRow, frame: Frame
    ) -> Sums:
        """Computes the sums of one example; zeros for an example without truth.

        Raises:
            ConfigError: a function fails, or returns anything but one or two numbers.
        """
        sums = np.zeros((len(self._configs), 2))
        pair = task.pair(features, answer, frame) if self._configs else None
        if pair is None:
            return sums
        for number, function in enumerate(self._functions):
            sums[number] = self._value(number, function, *pair)
        return sums

    def _value(
        self, number: int, function: Callable[..., Any], truth: Any, prediction: Any
    ) -> tuple[float, float]:
        config = self._configs[number]
        try:
            value = function(truth, prediction)
            if value is None:
                return 0.0, 0.0
            part, whole = value if isinstance(value, tuple) else (value, 1.0)
            return float(part), float(whole)
        except Exception as error:  # the user's code may raise anything
            raise ConfigError(
                f"{key_of(number)}: {config.call} failed for an example with "
                f"{type(error).__name__}: {first_line(error)} It must return a number, a part and "
                "a whole, or None for an example that does not count."
            ) from error


def key_of(number: int) -> str:
    """Returns the configuration key of a metric's code."""
    return f"evaluation.metrics.{number}.call"


class OwnScores(tfma.metrics.Metric):
    """User-defined metrics: sum of the parts over the sum of the wholes."""

    def __init__(self, names: Sequence[str], name: str = OWN_VALUES) -> None:
        """Args: `names` of the metrics, in order; `name` only distinguishes instances."""
        super().__init__(_computations, names=tuple(names), name=name)


def _computations(
    names: tuple[str, ...], name: str, model_names: list[str] | None = None
) -> list[Any]:
    return [
        tfma.metrics.MetricComputation(
            keys=[tfma.metrics.MetricKey(name=name, model_name=model_name)],
            preprocessors=[
                StandardMetricInputsPreprocessor(
                    include_filter={OWN_VALUES: {}}, include_default_inputs=False, name=OWN_VALUES
                )
            ],
            combiner=_SumFn(names, model_name),
        )
        for model_name in model_names or [""]
    ]


class _SumFn(beam.CombineFn):
    def __init__(self, names: tuple[str, ...], model_name: str) -> None:
        self._names, self._model_name = names, model_name

    def create_accumulator(self) -> Sums:
        return np.zeros((len(self._names), 2))

    def add_input(self, sums: Sums, inputs: Mapping[str, Any]) -> Sums:
        values = inputs[OWN_VALUES]
        # Like labels and predictions, they are keyed by model only if there are several.
        return sums + (values[self._model_name] if isinstance(values, Mapping) else values)

    def merge_accumulators(self, accumulators: Iterable[Sums]) -> Sums:
        return np.sum(list(accumulators), axis=0)

    def extract_output(self, sums: Sums) -> dict[Any, float]:
        return {
            tfma.metrics.MetricKey(name, model_name=self._model_name): (
                float(part / whole) if whole else float("nan")
            )
            for name, (part, whole) in zip(self._names, sums, strict=True)
        }
