"""Served output of regression."""

from typing import Any

import tensorflow as tf

from serving.tasks.graph import AnswerSpec, Explained, TaskGraph, Tensors
from serving.tasks.regression.answer import VALUE_OUTPUT


class RegressionGraph(TaskGraph):
    """Served output of regression."""

    def answer(self, values: tf.Tensor, pixels: tf.Tensor, spec: AnswerSpec) -> Tensors:
        """Converts values [N, 1] in the user's units to [N]."""
        return {VALUE_OUTPUT: tf.cast(values[:, 0], tf.float32)}

    def explained(
        self,
        outputs: tf.Tensor,
        found: Any,
        pixels: tf.Tensor,
        target: tf.Tensor,
        spec: AnswerSpec,
    ) -> Explained:
        """Explains the number; there is no other target."""
        known = tf.equal(target, "") | tf.equal(target, VALUE_OUTPUT)
        return Explained(tf.fill(tf.shape(target), VALUE_OUTPUT), tf.ones_like(outputs), known)


GRAPH = RegressionGraph()
