"""Multi-label classification: a sigmoid for each class."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from components.raster.example import LABELS
from components.raster.image import ImageSpec
from components.raster.pictures.sheet import Card
from components.raster.pictures.stretch import Picture
from components.raster.task import Task
from serving.contract.contract import Contract
from serving.tasks.multi_label.answer import PRESENT_OUTPUT
from trainer.data.class_counts import ClassCounts, count_indices
from trainer.data.examples import count_several
from trainer.data.targets import Parsing
from trainer.losses.labels import WeightedBinary
from trainer.metrics.labels import ClassAccuracy, ExactMatch, MacroAuc
from trainer.models.features import Features
from trainer.models.heads import dense
from trainer.tasks.board import Board, ExampleFeatures, PredictedExample
from trainer.tasks.config import MultiLabelOptions
from trainer.tasks.objective import Floats, ObjectiveInputs, ScalableObjective


@dataclass(frozen=True)
class MultiLabel(ScalableObjective):
    """Objective of several labels. Targets: float32 [N, K] of 0 and 1; outputs: logits [N, K].

    `accuracy` is the share of right decisions among N K, and `exact_match` the share of images with
    all decisions right. `macro_auc` is the mean area under the ROC curve over the classes that are
    seen both present and absent.

    Attributes:
        smoothing: share of the truth spread over presence and absence.
        positive: weight of the presence of each class; None: 1, as for absence.
        gamma: exponent of the focal loss; None: cross-entropy.
    """

    classes: tuple[str, ...]
    threshold: float
    smoothing: float = 0.0
    positive: tuple[float, ...] | None = None
    gamma: float | None = None
    task: ClassVar[Task] = "multi_label"
    monitors: ClassVar[tuple[str, ...]] = ("accuracy", "exact_match", "macro_auc")

    @classmethod
    def build(cls, inputs: ObjectiveInputs[MultiLabelOptions]) -> "MultiLabel":
        emphasis, threshold = inputs.emphasis, inputs.options.threshold
        weights = emphasis.loss_weights
        return cls(inputs.classes, threshold, inputs.smoothing, weights, emphasis.gamma)

    @classmethod
    def count_classes(cls, files: Sequence[str], classes: Sequence[str]) -> ClassCounts:
        return count_indices(files, LABELS, classes)

    @property
    def parsing(self) -> Mapping[str, Parsing]:
        return {LABELS: tf.io.RaggedFeature(tf.int64, row_splits_dtype=tf.int64)}

    def count(self, files: Sequence[str]) -> int:
        return count_several(files, LABELS, len(self.classes))

    def targets(self, parsed: Mapping[str, Any], image: ImageSpec) -> Any:
        several = parsed[LABELS]
        rows = tf.stack([several.value_rowids(), several.values], axis=1)
        # A sum would count an index twice if it occurs twice in a row.
        return tf.tensor_scatter_nd_max(
            tf.zeros((several.nrows(), len(self.classes))), rows, tf.ones(tf.shape(rows)[0])
        )

    def head(self, features: Features, image: ImageSpec, dropout: float) -> Any:
        return dense(features, len(self.classes), dropout, "logits")

    def loss(self) -> keras.losses.Loss:
        if self.positive is not None or self.gamma is not None:
            return WeightedBinary(self.positive, self.gamma or 0.0, self.smoothing)
        return keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=self.smoothing)

    def log_losses(self, logits: Floats, targets: Floats) -> Floats:
        losses: Floats = (np.logaddexp(0, logits) - targets * logits).mean(axis=1)
        return losses

    def metrics(self) -> list[keras.metrics.Metric]:
        # Outputs are logits, while the threshold is a probability.
        return [
            ClassAccuracy(self._threshold_logit),
            ExactMatch(self._threshold_logit),
            MacroAuc(len(self.classes)),
        ]

    def contract(self, image: ImageSpec) -> Contract:
        return Contract(image=image, task=self.task, classes=self.classes, threshold=self.threshold)

    @property
    def _threshold_logit(self) -> float:
        return math.log(self.threshold / (1 - self.threshold))


class MultiLabelBoard(Board[tuple[int, ...]]):
    """Draws an image with its classes; the truth is their indices."""

    def truth(self, features: ExampleFeatures, contract: Contract) -> tuple[int, ...]:
        return tuple(features[LABELS].int64_list.value)

    def cards(
        self, picture: Picture, example: PredictedExample[tuple[int, ...]], contract: Contract
    ) -> list[Card]:
        found = set(np.flatnonzero(example.answer[PRESENT_OUTPUT]).tolist())
        true = set(example.truth)
        marks = [(index, "") for index in found & true]
        marks += [(index, "-") for index in true - found]
        marks += [(index, "+") for index in found - true]
        text = " ".join(mark + contract.classes[index] for index, mark in sorted(marks))
        return [Card(picture, text or "(none)", alarm=found != true)]


OBJECTIVE = MultiLabel
BOARD = MultiLabelBoard()
