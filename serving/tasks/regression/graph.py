"""Served output of regression."""

from typing import Any

import tensorflow as tf

from serving.tasks.graph import AnswerSpec, Explained, TaskGraph, Tensors
from serving.tasks.pooling import Pooled
from serving.tasks.regression.answer import VALUE_OUTPUT
from serving.tasks.reliability import INTERVAL_OUTPUT


class RegressionGraph(TaskGraph):
    """Served output of regression."""

    disagreement = "standard_deviation"

    def answer(self, values: tf.Tensor, pixels: tf.Tensor, spec: AnswerSpec) -> Tensors:
        """Converts values [N, 1] in the user's units to [N]."""
        return {VALUE_OUTPUT: tf.cast(values[:, 0], tf.float32)}

    def pool(self, members: tf.Tensor, pixels: tf.Tensor) -> Pooled:
        """Averages the numbers; disagreement is their standard deviation (of the population)."""
        numbers = tf.cast(members, tf.float32)
        return Pooled(tf.reduce_mean(numbers, axis=0), tf.math.reduce_std(numbers, axis=0)[:, 0])

    def conformal(self, answer: Tensors, bound: float | None) -> Tensors:
        """Returns the interval around the number: float32 [N, 2]."""
        value, reach = answer[VALUE_OUTPUT], float("inf") if bound is None else bound
        return {INTERVAL_OUTPUT: tf.stack([value - reach, value + reach], axis=1)}

    def conformal_error(
        self, answer: Tensors, label: tf.Tensor, number: tf.Tensor
    ) -> tf.Tensor | None:
        """Returns the absolute error of the number."""
        return tf.abs(answer[VALUE_OUTPUT] - number)

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
