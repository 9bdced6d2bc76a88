"""Single-label classification: a softmax over the classes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from components.raster.example import LABEL
from components.raster.image import ImageSpec
from components.raster.pictures.sheet import Card
from components.raster.pictures.stretch import Picture
from components.raster.task import Task
from serving.contract.contract import Contract
from serving.tasks.base import PROBABILITIES_OUTPUT, text_of
from serving.tasks.single_label.answer import CLASS_OUTPUT
from trainer.data.class_counts import ClassCounts, count_indices
from trainer.data.examples import count_labels
from trainer.data.targets import Parsing
from trainer.losses.labels import FocalCategorical
from trainer.losses.smoothing import SmoothedCrossentropy
from trainer.models.features import Features
from trainer.models.heads import dense
from trainer.tasks.board import Board, ExampleFeatures, Indices, PredictedExample
from trainer.tasks.config import SingleLabelOptions
from trainer.tasks.objective import Floats, ObjectiveInputs, ScalableObjective


@dataclass(frozen=True)
class SingleLabel(ScalableObjective):
    """Objective of one label. Targets: int64 [N] or soft float32 [N, K]; outputs: logits [N, K].

    Attributes:
        smoothing: share of the truth spread over all classes.
        soft: whether an image may have a share of several classes, as where images are mixed.
        gamma: exponent of the focal loss; None: cross-entropy.
    """

    classes: tuple[str, ...]
    smoothing: float = 0.0
    soft: bool = False
    gamma: float | None = None
    task: ClassVar[Task] = "single_label"
    monitors: ClassVar[tuple[str, ...]] = ("accuracy",)

    @classmethod
    def build(cls, inputs: ObjectiveInputs[SingleLabelOptions]) -> "SingleLabel":
        emphasis = inputs.emphasis
        return cls(inputs.classes, inputs.smoothing, emphasis.soft, emphasis.gamma)

    @classmethod
    def count_classes(cls, files: Sequence[str], classes: Sequence[str]) -> ClassCounts:
        return count_indices(files, LABEL, classes)

    @property
    def parsing(self) -> Mapping[str, Parsing]:
        return {LABEL: tf.io.FixedLenFeature([], tf.int64)}

    def count(self, files: Sequence[str]) -> int:
        return sum(count_labels(files, len(self.classes)))

    def targets(self, parsed: Mapping[str, Any], image: ImageSpec) -> Any:
        return tf.one_hot(parsed[LABEL], len(self.classes)) if self.soft else parsed[LABEL]

    def head(self, features: Features, image: ImageSpec, dropout: float) -> Any:
        return dense(features, len(self.classes), dropout, "logits")

    def loss(self) -> keras.losses.Loss:
        if self.gamma is not None or self.soft:
            return FocalCategorical(self.gamma or 0.0, self.smoothing)
        if self.smoothing:
            return SmoothedCrossentropy(self.smoothing)
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def log_losses(self, logits: Floats, targets: Floats) -> Floats:
        shifted = logits - logits.max(axis=1, keepdims=True)
        logs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        if targets.ndim == 2:
            return -(targets * logs).sum(axis=1)
        losses: Floats = -np.take_along_axis(logs, targets[:, np.newaxis].astype(int), 1)[:, 0]
        return losses

    def metrics(self) -> list[keras.metrics.Metric]:
        if self.soft:
            return [keras.metrics.CategoricalAccuracy(name="accuracy")]
        return [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]

    def contract(self, image: ImageSpec) -> Contract:
        return Contract(image=image, task=self.task, classes=self.classes)


class SingleLabelBoard(Board[int]):
    """Draws an image with its class; the truth is the index of the class."""

    def truth(self, features: ExampleFeatures, contract: Contract) -> int:
        return int(features[LABEL].int64_list.value[0])

    def cards(
        self, picture: Picture, example: PredictedExample[int], contract: Contract
    ) -> list[Card]:
        true = contract.classes[example.truth]
        probability = example.answer[PROBABILITIES_OUTPUT].max()
        found = text_of(example.answer[CLASS_OUTPUT])
        right = found == true
        text = f"{found} {probability:.2f}" if right else f"{true}: {found} {probability:.2f}"
        return [Card(picture, text, alarm=not right)]

    def decisions(
        self, example: PredictedExample[int], class_count: int
    ) -> tuple[Indices, Indices]:
        predicted = example.answer[PROBABILITIES_OUTPUT].argmax()
        return np.array([example.truth]), np.array([predicted])


OBJECTIVE = SingleLabel
BOARD = SingleLabelBoard()
