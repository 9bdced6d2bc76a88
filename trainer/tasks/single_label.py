"""Single-label classification: a softmax over the classes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import keras
import tensorflow as tf

from components.raster.example import LABEL
from components.raster.image import ImageSpec
from components.raster.task import Task
from serving.contract.contract import Contract
from trainer.data.examples import count_labels
from trainer.data.targets import Parsing
from trainer.losses.labels import FocalCategorical
from trainer.losses.smoothing import SmoothedCrossentropy
from trainer.models.features import Features
from trainer.models.heads import dense


@dataclass(frozen=True)
class SingleLabel:
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
    pooled: ClassVar[bool] = True
    monitors: ClassVar[tuple[str, ...]] = ("accuracy",)

    @property
    def parsing(self) -> Mapping[str, Parsing]:
        return {LABEL: tf.io.FixedLenFeature([], tf.int64)}

    def count(self, files: Sequence[str]) -> int:
        return sum(count_labels(files, len(self.classes)))

    def targets(self, parsed: Mapping[str, Any], image: ImageSpec) -> Any:
        return tf.one_hot(parsed[LABEL], len(self.classes)) if self.soft else parsed[LABEL]

    def head(self, features: Features, image: ImageSpec, dropout: float) -> Any:
        return dense(features, len(self.classes), dropout, "logits")

    def decode(self, outputs: Any) -> Any:
        return outputs

    def loss(self) -> keras.losses.Loss:
        if self.gamma is not None or self.soft:
            return FocalCategorical(self.gamma or 0.0, self.smoothing)
        if self.smoothing:
            return SmoothedCrossentropy(self.smoothing)
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def metrics(self) -> list[keras.metrics.Metric]:
        if self.soft:
            return [keras.metrics.CategoricalAccuracy(name="accuracy")]
        return [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]

    def contract(self, image: ImageSpec) -> Contract:
        return Contract(image=image, task=self.task, classes=self.classes)
