"""Served outputs of single-label classification."""

from typing import Any

import tensorflow as tf

from serving.tasks.base import CLASSES_OUTPUT, PROBABILITIES_OUTPUT
from serving.tasks.graph import (
    AnswerSpec,
    Explained,
    TaskGraph,
    Tensors,
    explained_class,
    names_in_each_row,
    scaled,
)
from serving.tasks.pooling import Pooled, pool_classes
from serving.tasks.reliability import CONFORMAL_SET_OUTPUT
from serving.tasks.single_label.answer import CLASS_OUTPUT


class SingleLabelGraph(TaskGraph):
    """Served outputs of single-label classification."""

    def answer(self, logits: tf.Tensor, pixels: tf.Tensor, spec: AnswerSpec) -> Tensors:
        """Converts logits [N, K] to the most probable class [N] and probabilities (softmax)."""
        classes = spec.classes
        return {
            CLASS_OUTPUT: tf.gather(tf.constant(classes, tf.string), tf.argmax(logits, axis=1)),
            PROBABILITIES_OUTPUT: tf.nn.softmax(scaled(logits, spec)),
            CLASSES_OUTPUT: names_in_each_row(classes, tf.shape(logits)[0]),
        }

    def pool(self, members: tf.Tensor, pixels: tf.Tensor) -> Pooled:
        """Averages probabilities; disagreement is the mutual information of class and member."""
        return Pooled(*pool_classes(members))

    def conformal(self, answer: Tensors, bound: float | None) -> Tensors:
        """Returns the classes of the set, bool [N, K]; the most probable one is always included."""
        probabilities = answer[PROBABILITIES_OUTPUT]
        least = 0.0 if bound is None else 1.0 - bound
        surest = tf.reduce_max(probabilities, axis=1, keepdims=True)
        return {CONFORMAL_SET_OUTPUT: (probabilities >= least) | (probabilities >= surest)}

    def conformal_error(
        self, answer: Tensors, label: tf.Tensor, number: tf.Tensor
    ) -> tf.Tensor | None:
        """Returns 1 minus the probability of the true class."""
        return 1.0 - tf.gather(answer[PROBABILITIES_OUTPUT], label, batch_dims=1)

    def explained(
        self,
        outputs: tf.Tensor,
        found: Any,
        pixels: tf.Tensor,
        target: tf.Tensor,
        spec: AnswerSpec,
    ) -> Explained:
        """Explains the logit of the target class, by default of the most probable one."""
        return explained_class(outputs, target, spec)


GRAPH = SingleLabelGraph()
