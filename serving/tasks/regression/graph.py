"""Served output of regression."""

import tensorflow as tf

from serving.tasks.graph import AnswerSpec, TaskGraph, Tensors
from serving.tasks.regression.answer import VALUE_OUTPUT


class RegressionGraph(TaskGraph):
    """Served output of regression."""

    def answer(self, values: tf.Tensor, pixels: tf.Tensor, spec: AnswerSpec) -> Tensors:
        """Converts values [N, 1] in the user's units to [N]."""
        return {VALUE_OUTPUT: tf.cast(values[:, 0], tf.float32)}


GRAPH = RegressionGraph()
