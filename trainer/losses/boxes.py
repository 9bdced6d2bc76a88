"""Targets and loss of a detector: matches of anchors to objects, and their box offsets."""

from typing import Any

import keras
import tensorflow as tf

from trainer.models.anchors import Anchors

#: Intersection over union from which an anchor matches an object, and below which it is background;
#: anchors in between are ignored (Lin et al. 2017).
_OBJECT, _NOTHING = 0.5, 0.4
#: Every object matches its best anchor, however small the object, above this overlap.
_LEAST = 0.1
_ALPHA, _GAMMA = 0.25, 2.0


class DetectionLoss(keras.losses.Loss):
    """Focal loss of the classes and absolute error of the boxes, over the anchors with an object.

    Truth is [N, M, 5] (edges in pixels and label, -1 for none), outputs are [N, A, 4 + K]. Each
    image has one loss, so that images with many objects do not outweigh the others.
    """

    def __init__(self, anchors: Anchors, name: str = "detection_loss") -> None:
        super().__init__(name=name)
        self._anchors = anchors

    def call(self, truth: Any, outputs: Any) -> Any:
        """Computes the loss of each image, [N]."""
        outputs = tf.cast(outputs, tf.float32)
        labels, is_object, counts, moves = assign(truth, self._anchors)
        classes = outputs.shape[-1] - 4
        wanted = tf.one_hot(tf.where(is_object, labels, -1), classes)
        focal = classes * keras.losses.binary_focal_crossentropy(
            wanted,
            outputs[..., 4:],
            apply_class_balancing=True,
            alpha=_ALPHA,
            gamma=_GAMMA,
            from_logits=True,
        )
        apart = tf.reduce_sum(tf.abs(outputs[..., :4] - moves), axis=-1)
        objects = tf.reduce_sum(tf.cast(is_object, tf.float32), axis=1)
        summed = tf.reduce_sum(tf.where(counts, focal, 0.0), axis=1)
        summed += tf.reduce_sum(tf.where(is_object, apart, 0.0), axis=1)
        return summed / tf.maximum(objects, 1.0)


def assign(truth: Any, anchors: Anchors) -> tuple[Any, Any, Any, Any]:
    """Matches anchors to objects and returns their training targets.

    Returns: labels int32 [N, A], whether each anchor is an object [N, A], whether it counts in the
        class loss [N, A], and the offsets of the object's box from it [N, A, 4].
    """
    boxes, labels = truth[..., :4], tf.cast(truth[..., 4], tf.int32)
    there = labels[:, tf.newaxis] >= 0
    grid = tf.constant(anchors.boxes())
    shared = keras.utils.bounding_boxes.compute_iou(grid, boxes, bounding_box_format="yxyx")
    shared = tf.where(there, shared, -1.0)
    most = tf.reduce_max(shared, axis=1, keepdims=True)
    its_best = tf.where((shared == most) & (shared > _LEAST), shared, -1.0)
    forced = tf.reduce_max(its_best, axis=2) > 0
    match = tf.where(forced, tf.argmax(its_best, axis=2), tf.argmax(shared, axis=2))
    best = tf.reduce_max(shared, axis=2)
    is_object = forced | (best >= _OBJECT)
    matched = tf.gather(boxes, match, batch_dims=1)
    moves = keras.utils.bounding_boxes.encode_box_to_deltas(
        anchors=grid,
        boxes=tf.where(is_object[..., tf.newaxis], matched, grid),
        anchor_format="yxyx",
        box_format="yxyx",
        encoding_format="center_yxhw",
    )
    return (
        tf.gather(labels, match, batch_dims=1),
        is_object,
        is_object | (best < _NOTHING),
        moves,
    )
