"""Object detection: boxes with a class and a score each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import keras
import tensorflow as tf

from components.raster.example import BOX_EDGES, HEIGHT, OBJECT_LABEL, WIDTH
from components.raster.image import ImageSpec
from components.raster.task import Task
from serving.contract.contract import Contract
from trainer.data.boxes import NO_OBJECT, objects_in_frame
from trainer.data.examples import count_several
from trainer.data.targets import Parsing
from trainer.losses.boxes import DetectionLoss
from trainer.models.anchors import Anchors
from trainer.models.decode_boxes import DecodeBoxes
from trainer.models.detector import detector
from trainer.models.features import Features
from trainer.tasks.config import DetectionOptions


@dataclass(frozen=True)
class Detection:
    """Objective of detection. Targets: float32 [N, M, 5], edges in the model's pixels and label.

    Rows without an object have the label -1. Outputs are float32 [N, A, 4 + K], for each
    anchor; the served outputs are the objects.
    """

    classes: tuple[str, ...]
    options: DetectionOptions
    image: ImageSpec
    task: ClassVar[Task] = "detection"
    pooled: ClassVar[bool] = False
    monitors: ClassVar[tuple[str, ...]] = ()

    @property
    def parsing(self) -> Mapping[str, Parsing]:
        return {
            **{name: tf.io.RaggedFeature(tf.float32) for name in BOX_EDGES},
            OBJECT_LABEL: tf.io.RaggedFeature(tf.int64),
            HEIGHT: tf.io.FixedLenFeature([], tf.int64),
            WIDTH: tf.io.FixedLenFeature([], tf.int64),
        }

    def count(self, files: Sequence[str]) -> int:
        most = self.options.max_objects
        return count_several(files, OBJECT_LABEL, len(self.classes), at_most=most)

    def targets(self, parsed: Mapping[str, Any], image: ImageSpec) -> Any:
        shape = (None, self.options.max_objects)
        edges = [parsed[name].to_tensor(0.0, shape=shape) for name in BOX_EDGES]
        labels = parsed[OBJECT_LABEL].to_tensor(NO_OBJECT, shape=shape)
        sizes = tf.stack([parsed[HEIGHT], parsed[WIDTH]], axis=1)
        return objects_in_frame(tf.stack(edges, axis=-1), labels, sizes, image)

    def head(self, features: Features, image: ImageSpec, dropout: float) -> Any:
        options = self.options
        return detector(
            *(features, self._anchors, len(self.classes)),
            filters=options.filters,
            depth=options.depth,
            dropout=dropout,
        )

    def decode(self, outputs: Any) -> Any:
        options = self.options
        layer = DecodeBoxes(
            self._anchors, options.max_objects, options.min_score, options.max_overlap
        )
        return layer(outputs)

    def loss(self) -> keras.losses.Loss:
        return DetectionLoss(self._anchors)

    def metrics(self) -> list[keras.metrics.Metric]:
        return []  # the precision of boxes needs the whole split; the evaluation measures it

    def contract(self, image: ImageSpec) -> Contract:
        return Contract(image=image, task=self.task, classes=self.classes)

    @property
    def _anchors(self) -> Anchors:
        stride = self.options.finest_stride_px
        return Anchors(
            self.image.height_px,
            self.image.width_px,
            finest=stride.bit_length() - 1,
            levels=self.options.levels,
            smallest_px=self.options.smallest_px or 2.0 * stride,
        )
