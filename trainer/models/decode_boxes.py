"""The last layer of a served detector: decodes the outputs at the anchors into objects."""

from dataclasses import asdict
from typing import Any

import keras
import tensorflow as tf

from trainer.models.anchors import Anchors

#: Number of anchors of each image that enter non-maximum suppression.
_CANDIDATES = 1000


@keras.saving.register_keras_serializable("skymill")
class DecodeBoxes(keras.layers.Layer):
    """Best boxes of each image, after non-maximum suppression by class.

    Args:
        anchors: the detector's, or their fields.
        max_objects: M, the maximum number of objects of an image.
        min_score: boxes with a lower score are dropped.
        max_overlap: intersection over union above which only the better of two boxes of one class
            is kept.
    """

    def __init__(
        self,
        anchors: Anchors | dict[str, Any],
        max_objects: int,
        min_score: float,
        max_overlap: float,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.anchors = anchors if isinstance(anchors, Anchors) else Anchors(**anchors)
        self.max_objects = max_objects
        self.min_score = min_score
        self.max_overlap = max_overlap

    def call(self, outputs: Any) -> dict[str, Any]:
        """Decodes outputs [N, A, 4 + K] into objects.

        Returns: boxes [N, M, 4], labels [N, M] (-1 for none) and scores [N, M]; and the box at each
        anchor, anchor_boxes [N, A, 4], by which an explanation finds the anchor of an object.
        """
        scores = tf.sigmoid(tf.cast(outputs[..., 4:], tf.float32))
        count = min(_CANDIDATES, scores.shape[1])
        _, best = tf.math.top_k(tf.reduce_max(scores, axis=-1), count)
        boxes = decoded(tf.cast(outputs[..., :4], tf.float32), self.anchors)
        found = tf.image.combined_non_max_suppression(
            tf.gather(boxes, best, batch_dims=1)[:, :, tf.newaxis],
            tf.gather(scores, best, batch_dims=1),
            max_output_size_per_class=self.max_objects,
            max_total_size=self.max_objects,
            iou_threshold=self.max_overlap,
            score_threshold=self.min_score,
            clip_boxes=False,
        )
        there = tf.range(self.max_objects)[tf.newaxis] < found.valid_detections[:, tf.newaxis]
        return {
            "boxes": found.nmsed_boxes,
            "labels": tf.where(there, tf.cast(found.nmsed_classes, tf.int32), -1),
            "scores": found.nmsed_scores,
            "anchor_boxes": boxes,
        }

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> dict[str, Any]:
        rows = (input_shape[0], self.max_objects)
        at_anchors = (*input_shape[:2], 4)
        return {
            "boxes": (*rows, 4),
            "labels": rows,
            "scores": rows,
            "anchor_boxes": at_anchors,
        }

    def compute_output_spec(self, outputs: Any) -> dict[str, Any]:
        shapes = self.compute_output_shape(outputs.shape)
        kinds = {**dict.fromkeys(shapes, "float32"), "labels": "int32"}
        return {name: keras.KerasTensor(shapes[name], kinds[name]) for name in shapes}

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "anchors": asdict(self.anchors),
            "max_objects": self.max_objects,
            "min_score": self.min_score,
            "max_overlap": self.max_overlap,
        }


def decoded(moves: Any, anchors: Anchors) -> Any:
    """Decodes offsets from the anchors [N, A, 4] to boxes in pixels, clipped to the image."""
    boxes = keras.utils.bounding_boxes.decode_deltas_to_boxes(
        anchors=keras.ops.array(anchors.boxes()),
        boxes_delta=moves,
        anchor_format="yxyx",
        box_format="yxyx",
        encoded_format="center_yxhw",
    )
    frame = [anchors.height_px, anchors.width_px] * 2
    return keras.ops.clip(boxes, 0.0, keras.ops.array(frame, "float32"))
