"""Test examples with the models' answers, as extracts from which TFMA computes metrics.

The examples are read, and the models called, in batches of a fixed size, so an evaluation needs the
memory of one batch of images. Images and class rasters do not leave this step: each example passes
on only its contribution to the tally.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow as tf
import tensorflow_model_analysis as tfma
from apache_beam.utils.shared import Shared

from components.evaluation.failing import describe, note, reason
from components.evaluation.model import ServedModel
from components.evaluation.own_metric_config import CustomMetric
from components.evaluation.own_metrics import OWN_VALUES, OwnMetrics
from components.evaluation.slices import feature_of, slice_values
from components.evaluation.tasks.base import Answer, Frame, Observation
from components.evaluation.tasks.bootstrap import seed_of
from components.evaluation.tasks.registry import evaluated_task
from components.node.records import records
from components.raster.image import ImageSpec
from components.raster.task import SINGLE_LABEL, Task

_ANY_IMAGE = ImageSpec()


@dataclass(frozen=True)
class Model:
    """One of the compared models: its name in TFMA, its folder and its classes."""

    name: str
    path: str
    classes: tuple[str, ...]
    image: ImageSpec = _ANY_IMAGE


@dataclass(frozen=True)
class Reading:
    """Options for converting examples to extracts; `frames` holds each model's frame."""

    frames: Mapping[str, Frame]
    slice_features: tuple[str, ...]
    bins: Mapping[str, tuple[float, ...]]
    batch_size: int
    task: Task = SINGLE_LABEL
    metrics: tuple[CustomMetric, ...] = ()

    def own_metrics(self) -> OwnMetrics:
        """Imports the user's metrics, in the process that computes them."""
        return OwnMetrics(self.metrics, next(iter(self.frames.values())).space)


@dataclass(frozen=True)
class LoadedModels:
    """Loaded models by path, and the reasons why others could not be loaded.

    One object so that a process can hold them once (see `Shared`).
    """

    by_path: Mapping[str, ServedModel]
    failures: Mapping[str, str]


def load(paths: Sequence[str]) -> LoadedModels:
    """Loads each SavedModel once."""
    models, failures = {}, {}
    for path in paths:
        try:
            models[path] = ServedModel(path)
        except Exception as error:  # a broken model is a finding, whatever TensorFlow raises
            failures[path] = reason(error)
    return LoadedModels(models, failures)


@beam.typehints.with_input_types(str)
@beam.typehints.with_output_types(dict[str, Any])
class PredictFn(beam.DoFn):
    """Converts a TFRecord file of examples to one extract for each example.

    A model's failure is written to `notes`, a folder that all workers share. The rest of the file
    is then skipped, and the measured part must not be used.
    """

    def __init__(
        self, models: Sequence[Model], reading: Reading, shared: Shared, notes: str
    ) -> None:
        self._models = tuple(models)
        self._notes = notes
        self._reading = reading
        self._shared = shared
        self._loaded: LoadedModels | None = None
        self._own: OwnMetrics | None = None

    def setup(self) -> None:
        paths = tuple(model.path for model in self._models)
        self._loaded = self._shared.acquire(lambda: load(paths))
        self._own = self._reading.own_metrics()

    def process(self, path: str) -> Iterator[dict[str, Any]]:
        assert self._loaded is not None
        assert self._own is not None
        for batch in read_batches(path, self._reading.batch_size):
            answers = {}
            for model in self._models:
                served = self._loaded.by_path[model.path]
                try:
                    answers[model.name] = served.answers(batch)
                except Exception as error:  # as in `load`: a graph may raise anything
                    note(self._notes, model.name, describe(served, batch, path, error))
            if len(answers) < len(self._models):
                return
            for index, serialized in enumerate(batch):
                rows = {
                    name: {output: values[index] for output, values in outputs.items()}
                    for name, outputs in answers.items()
                }
                yield extract(serialized, rows, self._reading, self._own)


def read_batches(path: str, batch_size: int) -> Iterator[list[bytes]]:
    """Yields batches of serialized examples of a TFRecord file, gzipped if its name says so."""
    for batch in records(path).batch(batch_size):
        yield list(batch.numpy())


def extract(
    serialized: bytes, answers: Mapping[str, Answer], reading: Reading, own: OwnMetrics
) -> dict[str, Any]:
    """Converts one example to a TFMA extract: each model's tally contribution, slice features.

    Raises:
        ConfigError: a metric of the user's own fails.
    """
    evaluated = evaluated_task(reading.task)
    features = _features(serialized, (*evaluated.truth, *map(feature_of, reading.slice_features)))
    seed = seed_of(serialized)
    observed: dict[str, Observation] = {
        name: evaluated.observe(features, answer, reading.frames[name], seed)
        for name, answer in answers.items()
    }
    sums = {
        name: own.sums(evaluated, features, answer, reading.frames[name])
        for name, answer in answers.items()
    }
    values = slice_values(features, reading.slice_features, reading.bins)
    return {
        tfma.INPUT_KEY: b"",
        tfma.LABELS_KEY: _by_model({name: labels for name, (labels, _) in observed.items()}),
        tfma.PREDICTIONS_KEY: _by_model({name: found for name, (_, found) in observed.items()}),
        OWN_VALUES: _by_model(sums),
        tfma.FEATURES_KEY: {
            feature: np.array([value.encode() for value in found], dtype=object)
            for feature, found in values.items()
        },
    }


def _features(serialized: bytes, names: Sequence[str]) -> dict[str, Sequence[bytes | float]]:
    """Returns the values of those named features that the example has."""
    found = tf.train.Example.FromString(serialized).features.feature
    values: dict[str, Sequence[bytes | float]] = {}
    for name in names:
        if name in found and (kind := found[name].WhichOneof("kind")):
            values[name] = getattr(found[name], kind).value
    return values


def _by_model(values: dict[str, np.ndarray]) -> Any:
    """Keys values by model only if there are several, as TFMA expects."""
    return values if len(values) > 1 else next(iter(values.values()))
