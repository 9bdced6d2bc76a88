"""Object detection: boxes with a class and a score each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from components.raster.example import BOX_EDGES, HEIGHT, OBJECT_LABEL, WIDTH
from components.raster.fitting import LEAST_BOX_SHARE, fit_boxes
from components.raster.image import ImageSpec
from components.raster.pictures.sheet import Card, with_boxes
from components.raster.pictures.stretch import Picture
from components.raster.task import Task
from serving.contract.contract import Contract
from serving.tasks.detection.answer import BOX_LABELS_OUTPUT, BOX_SCORES_OUTPUT, BOXES_OUTPUT
from trainer.augment.batch import Batch
from trainer.data.boxes import NO_OBJECT, objects_in_frame
from trainer.data.class_counts import ClassCounts, count_indices
from trainer.data.examples import count_several
from trainer.data.targets import Parsing
from trainer.losses.boxes import DetectionLoss
from trainer.models.anchors import Anchors
from trainer.models.decode_boxes import DecodeBoxes
from trainer.models.detector import detector
from trainer.models.features import Features
from trainer.tasks.board import Board, ExampleFeatures, PredictedExample
from trainer.tasks.config import DetectionOptions
from trainer.tasks.objective import Objective, ObjectiveInputs

#: Objects with a lower score are omitted from a picture.
_SHOWN_SCORE = 0.3


@dataclass(frozen=True)
class Detection(Objective):
    """Objective of detection. Targets: float32 [N, M, 5], edges in the model's pixels and label.

    Rows without an object have the label -1. Outputs are float32 [N, A, 4 + K], for each
    anchor; the served outputs are the objects.
    """

    classes: tuple[str, ...]
    options: DetectionOptions
    image: ImageSpec
    task: ClassVar[Task] = "detection"
    pooled: ClassVar[bool] = False

    @classmethod
    def build(cls, inputs: ObjectiveInputs[DetectionOptions]) -> "Detection":
        return cls(inputs.classes, inputs.options, inputs.image)

    @classmethod
    def count_classes(cls, files: Sequence[str], classes: Sequence[str]) -> ClassCounts:
        return count_indices(files, OBJECT_LABEL, classes, "objects")

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

    def to_views(self, images: tf.Tensor, targets: Any) -> Batch:
        labels = tf.cast(targets[..., 4], tf.int32)
        return {"images": images, "boxes": targets[..., :4], "classes": labels}

    def from_views(self, batch: Batch, targets: Any) -> Any:
        labels = tf.cast(batch["classes"], tf.float32)
        return tf.concat([batch["boxes"], labels[..., tf.newaxis]], axis=-1)

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


@dataclass(frozen=True, eq=False)
class TrueObjects:
    """Objects of an example: edges [M, 4] in pixels of the model's image, and class indices."""

    edges_px: npt.NDArray[np.float32]
    labels: tuple[int, ...]


class DetectionBoard(Board[TrueObjects]):
    """Draws the boxes of truth and prediction."""

    cards_per_example = 2

    def truth(self, features: ExampleFeatures, contract: Contract) -> TrueObjects:
        columns = [features[name].float_list.value for name in BOX_EDGES]
        edges = np.array(columns, np.float32).T.reshape(-1, 4)
        labels = np.array(features[OBJECT_LABEL].int64_list.value, np.int64)
        size = (features[HEIGHT].int64_list.value[0], features[WIDTH].int64_list.value[0])
        fitted, share = fit_boxes(edges, size, contract.image)
        kept = share >= LEAST_BOX_SHARE
        return TrueObjects(fitted[kept], tuple(labels[kept].tolist()))

    def cards(
        self, picture: Picture, example: PredictedExample[TrueObjects], contract: Contract
    ) -> list[Card]:
        true, answer = example.truth, example.answer
        shown = answer[BOX_SCORES_OUTPUT] >= _SHOWN_SCORE
        labels = answer[BOX_LABELS_OUTPUT][shown].tolist()
        return [
            Card(with_boxes(picture, true.edges_px, true.labels), f"truth: {len(true.labels)}"),
            Card(with_boxes(picture, answer[BOXES_OUTPUT][shown], labels), f"found: {len(labels)}"),
        ]


OBJECTIVE = Detection
BOARD = DetectionBoard()
