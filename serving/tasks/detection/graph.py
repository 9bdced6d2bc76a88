"""Served outputs of detection."""

from collections.abc import Mapping

import tensorflow as tf

from serving.tasks.base import CLASSES_OUTPUT
from serving.tasks.detection.answer import (
    BOX_CLASSES_OUTPUT,
    BOX_LABELS_OUTPUT,
    BOX_SCORES_OUTPUT,
    BOXES_OUTPUT,
)
from serving.tasks.graph import AnswerSpec, TaskGraph, Tensors, names_in_each_row


class DetectionGraph(TaskGraph):
    """Served outputs of detection."""

    def answer(
        self, found: Mapping[str, tf.Tensor], pixels: tf.Tensor, spec: AnswerSpec
    ) -> Tensors:
        """Converts `boxes` [N, M, 4], `labels` [N, M] and `scores` [N, M]; labels become names.

        Boxes are top, left, bottom, right in pixels of the model's image. Padding after an image's
        own objects has the label -1: its name is empty, its box and score are 0.
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


GRAPH = DetectionGraph()
