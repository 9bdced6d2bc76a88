"""Served outputs of multi-label classification."""

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
from serving.tasks.multi_label.answer import PRESENT_OUTPUT
from serving.tasks.pooling import Pooled, pool_presences


class MultiLabelGraph(TaskGraph):
    """Served outputs of multi-label classification."""

    def answer(self, logits: tf.Tensor, pixels: tf.Tensor, spec: AnswerSpec) -> Tensors:
        """Converts logits [N, K] to each class's probability (sigmoid) and presence.

        A class is present if its probability is at least the threshold of the spec.
        """
        probabilities = tf.nn.sigmoid(scaled(logits, spec))
        return {
            PROBABILITIES_OUTPUT: probabilities,
            CLASSES_OUTPUT: names_in_each_row(spec.classes, tf.shape(logits)[0]),
            PRESENT_OUTPUT: probabilities >= spec.threshold,
        }

    def pool(self, members: tf.Tensor, pixels: tf.Tensor) -> Pooled:
        """Averages probabilities; disagreement is the mean mutual information of the classes."""
        outputs, information = pool_presences(members)
        return Pooled(outputs, tf.reduce_mean(information, axis=1))

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


GRAPH = MultiLabelGraph()
