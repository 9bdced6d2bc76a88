"""Served outputs of detection."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from serving.tasks.base import CLASSES_OUTPUT
from serving.tasks.detection.answer import (
    BOX_CLASSES_OUTPUT,
    BOX_LABELS_OUTPUT,
    BOX_SCORES_OUTPUT,
    BOXES_OUTPUT,
)
from serving.tasks.graph import (
    AnswerSpec,
    Explained,
    TaskGraph,
    Tensors,
    chosen_class,
    names_in_each_row,
)


class DetectionGraph(TaskGraph):
    """Served outputs of detection."""

    def answer(
        self, found: Mapping[str, tf.Tensor], pixels: tf.Tensor, spec: AnswerSpec
    ) -> Tensors:
        """Converts `boxes` [N, M, 4], `labels` [N, M] and `scores` [N, M]; labels become names.

        Boxes are top, left, bottom, right in pixels of the model's image. Padding after an image's
        objects has the label -1: its name is empty, its box and score are 0.
        """
        labels = tf.cast(found["labels"], tf.int32)
        there = labels >= 0
        names = tf.gather(tf.constant(spec.classes, tf.string), tf.maximum(labels, 0))
        boxes = tf.cast(found["boxes"], tf.float32)
        return {
            BOXES_OUTPUT: tf.where(there[..., tf.newaxis], boxes, 0.0),
            BOX_LABELS_OUTPUT: tf.maximum(labels, -1),
            BOX_CLASSES_OUTPUT: tf.where(there, names, ""),
            BOX_SCORES_OUTPUT: tf.where(there, tf.cast(found["scores"], tf.float32), 0.0),
            CLASSES_OUTPUT: names_in_each_row(spec.classes, tf.shape(labels)[0]),
        }

    def explained(
        self,
        outputs: tf.Tensor,
        found: Any,
        pixels: tf.Tensor,
        target: tf.Tensor,
        spec: AnswerSpec,
    ) -> Explained:
        """Explains the logit of an object's class at the anchor that predicted the object.

        The target is an object of the answer by its index (`#0`, the default, is the surest), or a
        class, at the anchor that is surest of it.
        """
        logits = outputs[..., 4:]
        scores, labels = tf.cast(found["scores"], tf.float32), tf.cast(found["labels"], tf.int32)
        places = [f"#{place}" for place in range(scores.shape[1])]
        same = tf.equal(target[:, tf.newaxis], tf.constant(places)[tf.newaxis]) & (labels >= 0)
        is_object = tf.reduce_any(same, axis=1)
        place = tf.argmax(tf.cast(same, tf.int32), axis=1, output_type=tf.int32)
        by_class, known = chosen_class(tf.reduce_max(logits, axis=1), target, spec)
        label = tf.where(is_object, tf.gather(labels, place, batch_dims=1), by_class)
        of_label = tf.gather(logits, label, axis=2, batch_dims=1)  # [N, A]
        # An object has exactly the score and box of its anchor; scores near 1 may be equal by
        # rounding.
        wanted = tf.gather(scores, place, batch_dims=1)[:, tf.newaxis]
        box = tf.gather(found["boxes"], place, batch_dims=1)[:, tf.newaxis]
        distance = tf.abs(tf.sigmoid(of_label) - wanted)
        distance += tf.reduce_sum(tf.abs(found["anchor_boxes"] - box), axis=-1)
        nearness = tf.where(is_object[:, tf.newaxis], -distance, of_label)
        anchor = tf.one_hot(tf.argmax(nearness, axis=1), outputs.shape[1])
        channel = tf.one_hot(label + 4, outputs.shape[2])
        weights = anchor[:, :, tf.newaxis] * channel[:, tf.newaxis]
        names = tf.gather(tf.constant(spec.classes, tf.string), label)
        return Explained(names, weights, known | is_object)


GRAPH = DetectionGraph()
