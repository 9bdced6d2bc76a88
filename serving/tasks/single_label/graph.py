"""Served outputs of single-label classification."""

import tensorflow as tf

from serving.tasks.base import CLASSES_OUTPUT, PROBABILITIES_OUTPUT
from serving.tasks.graph import AnswerSpec, TaskGraph, Tensors, names_in_each_row
from serving.tasks.single_label.answer import CLASS_OUTPUT


class SingleLabelGraph(TaskGraph):
    """Served outputs of single-label classification."""

    def answer(self, logits: tf.Tensor, pixels: tf.Tensor, spec: AnswerSpec) -> Tensors:
        """Converts logits [N, K] to the most probable class [N] and probabilities (softmax)."""
        classes = spec.classes
        return {
            CLASS_OUTPUT: tf.gather(tf.constant(classes, tf.string), tf.argmax(logits, axis=1)),
            PROBABILITIES_OUTPUT: tf.nn.softmax(tf.cast(logits, tf.float32)),
            CLASSES_OUTPUT: names_in_each_row(classes, tf.shape(logits)[0]),
        }


GRAPH = SingleLabelGraph()
