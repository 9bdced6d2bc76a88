"""Test examples with the models' answers, as extracts from which TFMA computes metrics.

Examples are read, and models called, in batches of a fixed size, so an evaluation needs memory for
one batch of images. Images and class rasters do not leave this step: each example passes on only
its contribution to the tally.
"""

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow as tf
import tensorflow_model_analysis as tfma
from apache_beam.utils.shared import Shared

from components.evaluation.failing import describe, reason, record_failure
from components.evaluation.metrics import SEED
from components.evaluation.model import EvaluatedModel
from components.evaluation.own_metric_config import CustomMetric
from components.evaluation.own_metrics import OWN_VALUES, OwnMetrics
from components.evaluation.prediction_runs import RunWriter, runs_folder
from components.evaluation.predictions import Head, PredictionRow
from components.evaluation.slices import feature_of, slice_values
from components.evaluation.tasks.base import (
    AnswerRow,
    Details,
    EvaluatedTask,
    Features,
    Frame,
    Judged,
    Observation,
    joined,
)
from components.evaluation.tasks.bootstrap import seed_of
from components.evaluation.tasks.registry import evaluated_task
from components.node.records import record_batches
from components.raster.example import KEY, LATITUDE, LONGITUDE, SCENE
from components.raster.image import ImageSpec
from components.raster.spatial.grouping import Grouping, grouping_from_json
from components.raster.task import SINGLE_LABEL, Task
from components.raster.text import readable

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
    """Options for converting examples to extracts.

    `frames` holds each model's frame, `grouping` is the file of the examples' groups.
    """

    frames: Mapping[str, Frame]
    slice_features: tuple[str, ...]
    bins: Mapping[str, tuple[float, ...]]
    batch_size: int
    task: Task = SINGLE_LABEL
    metrics: tuple[CustomMetric, ...] = ()
    grouping: str | None = None

    @property
    def evaluated(self) -> EvaluatedTask[Any]:
        """The models' task."""
        return evaluated_task(self.task)

    @property
    def head(self) -> Head:
        """Head of the file of predictions; the first frame is the candidate's."""
        classes = next(iter(self.frames.values())).classes
        return Head(self.task, classes, self.slice_features)

    def read_grouping(self) -> Grouping:
        """Reads the groups of the examples; empty without a file."""
        if self.grouping is None:
            return Grouping()
        with tf.io.gfile.GFile(self.grouping) as file:
            return grouping_from_json(file.read(), self.grouping)

    def own_metrics(self) -> OwnMetrics:
        """Imports the user-defined metrics, in the process that computes them."""
        return OwnMetrics(self.metrics, next(iter(self.frames.values())).space)


@dataclass(frozen=True)
class LoadedModels:
    """Loaded models by path, and why others could not be loaded.

    One object, so that a process holds the models only once (see `Shared`).
    """

    by_path: Mapping[str, EvaluatedModel]
    failures: Mapping[str, str]


def load(paths: Sequence[str]) -> LoadedModels:
    """Loads each SavedModel once."""
    models, failures = {}, {}
    for path in paths:
        try:
            models[path] = EvaluatedModel(path)
        except Exception as error:  # a broken model is a finding, whatever TensorFlow raises
            failures[path] = reason(error)
    return LoadedModels(models, failures)


@beam.typehints.with_input_types(str)
@beam.typehints.with_output_types(dict[str, Any])
class PredictFn(beam.DoFn):
    """Converts a TFRecord file of examples to one extract for each example.

    The predictions go to sorted runs below `folder` (see `prediction_runs`). A model's failure is
    noted in the same folder, which all workers share; the rest of the file is then skipped, and
    the metrics of the part before it must not be used.
    """

    def __init__(
        self, models: Sequence[Model], reading: Reading, shared: Shared, folder: str
    ) -> None:
        self._models = tuple(models)
        self._folder = folder
        self._reading = reading
        self._shared = shared
        self._loaded: LoadedModels | None = None
        self._own: OwnMetrics | None = None
        self._grouping = Grouping()

    def setup(self) -> None:
        paths = tuple(model.path for model in self._models)
        self._loaded = self._shared.acquire(lambda: load(paths))
        self._own = self._reading.own_metrics()
        self._grouping = self._reading.read_grouping()

    def process(self, path: str) -> Iterator[dict[str, Any]]:
        assert self._loaded is not None
        assert self._own is not None
        runs = RunWriter(runs_folder(self._folder), os.path.basename(path), self._reading.head)
        for batch in record_batches(path, size=self._reading.batch_size):
            answers = {}
            for model in self._models:
                served = self._loaded.by_path[model.path]
                try:
                    planes = bool(self._reading.frames[model.name].decided)
                    answers[model.name] = served.answers(batch, planes)
                except Exception as error:  # as in `load`: a graph may raise anything
                    record_failure(self._folder, model.name, describe(served, batch, path, error))
            if len(answers) < len(self._models):
                return
            for index, serialized in enumerate(batch):
                rows = {
                    name: {output: values[index] for output, values in outputs.items()}
                    for name, outputs in answers.items()
                }
                example = observe(serialized, rows, self._reading, self._grouping)
                runs.add(example.prediction(self._reading))
                yield example.extract(self._reading, self._own)
        runs.flush()


@dataclass(frozen=True)
class ObservedExample:
    """An example with the models' answers.

    Attributes:
        features: those that were read.
        answers, observations: by model; the candidate's come first.
        slices: its values of the slice features.
        key, lonlat: its key and its centre in degrees, if known.
        group, seed: the group that shares its split, and the seed of this unit.
    """

    features: Features
    answers: Mapping[str, AnswerRow]
    observations: Mapping[str, Observation]
    slices: Mapping[str, tuple[str, ...]]
    key: str
    lonlat: tuple[float, float] | None
    group: str | None
    seed: int

    def extract(self, reading: Reading, own: OwnMetrics) -> dict[str, Any]:
        """Returns a TFMA extract: each model's contribution to its tally, and slice features.

        Raises:
            ConfigError: a user-defined metric fails.
        """
        sums = {
            name: own.sums(reading.evaluated, self.features, answer, reading.frames[name])
            for name, answer in self.answers.items()
        }
        labels = {name: labels for name, (labels, _) in self.observations.items()}
        found = {name: found for name, (_, found) in self.observations.items()}
        return {
            tfma.INPUT_KEY: b"",
            tfma.LABELS_KEY: _by_model(labels),
            tfma.PREDICTIONS_KEY: _by_model(found),
            OWN_VALUES: _by_model(sums),
            SEED: np.array([self.seed]),
            tfma.FEATURES_KEY: {
                feature: np.array([value.encode() for value in values], dtype=object)
                for feature, values in self.slices.items()
            },
        }

    def prediction(self, reading: Reading) -> PredictionRow:
        """Returns the example's row of the predictions."""
        candidate, *others = (
            reading.evaluated.judged(self.features, observation, reading.frames[name])
            for name, observation in self.observations.items()
        )
        served = others[0] if others else Judged()
        probabilities = candidate.probabilities
        longitude, latitude = self.lonlat or (None, None)
        return PredictionRow(
            key=readable(self.key),
            group=None if self.group is None else readable(self.group),
            truth=candidate.truth,
            answer=candidate.answer,
            confidence=_finite(candidate.confidence),
            score=_finite(candidate.score),
            loss=_finite(candidate.loss),
            probabilities=None if probabilities is None else probabilities.tolist(),
            details=self._details(reading),
            baseline_answer=served.answer,
            baseline_confidence=_finite(served.confidence),
            baseline_score=_finite(served.score),
            baseline_loss=_finite(served.loss),
            longitude=longitude,
            latitude=latitude,
            slices={
                name: joined(values) if values else None for name, values in self.slices.items()
            },
        )

    def _details(self, reading: Reading) -> Details | None:
        name, answer = next(iter(self.answers.items()))
        return reading.evaluated.details(self.features, answer, reading.frames[name])


def observe(
    serialized: bytes,
    answers: Mapping[str, AnswerRow],
    reading: Reading,
    grouping: Grouping,
) -> ObservedExample:
    """Reads one example and computes each model's contribution to its tally."""
    slice_features = map(feature_of, reading.slice_features)
    names = (*reading.evaluated.truth, *slice_features, KEY, SCENE, LONGITUDE, LATITUDE)
    features = _features(serialized, names)
    key, scene = _text(features, KEY) or "", _text(features, SCENE)
    lonlat = _lonlat(features)
    group = grouping.of(key, scene, lonlat)
    observations = {
        name: reading.evaluated.observe(features, answer, reading.frames[name])
        for name, answer in answers.items()
    }
    slices = slice_values(features, reading.slice_features, reading.bins)
    seed = seed_of(serialized, group)
    return ObservedExample(features, answers, observations, slices, key, lonlat, group, seed)


def _features(serialized: bytes, names: Sequence[str]) -> dict[str, Sequence[bytes | float]]:
    """Returns the values of the named features that the example has."""
    found = tf.train.Example.FromString(serialized).features.feature
    values: dict[str, Sequence[bytes | float]] = {}
    for name in names:
        if name in found and (kind := found[name].WhichOneof("kind")):
            values[name] = getattr(found[name], kind).value
    return values


def _text(features: Features, name: str) -> str | None:
    values = features.get(name, ())
    if not values:
        return None
    assert isinstance(values[0], bytes)
    return values[0].decode("utf-8", "surrogateescape")


def _lonlat(features: Features) -> tuple[float, float] | None:
    values = [float(value) for name in (LONGITUDE, LATITUDE) for value in features.get(name, ())]
    return (values[0], values[1]) if len(values) == 2 else None


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value


def _by_model(values: dict[str, np.ndarray]) -> Any:
    """Keys values by model only if there are several, as TFMA expects."""
    return values if len(values) > 1 else next(iter(values.values()))
