"""Classes of whole images: one, or several."""

import tensorflow as tf

from serving.contract.names import (
    CLASS_OUTPUT,
    CLASSES_OUTPUT,
    PRESENT_OUTPUT,
    PROBABILITIES_OUTPUT,
)
from serving.tasks.parts import Answer, names_in_each_row


def single_label(logits: tf.Tensor, classes: tuple[str, ...]) -> Answer:
    """From logits [N, K]: the most probable class [N], and the probabilities [N, K] (softmax)."""
    return {
        CLASS_OUTPUT: tf.gather(tf.constant(classes, tf.string), tf.argmax(logits, axis=1)),
        PROBABILITIES_OUTPUT: tf.nn.softmax(tf.cast(logits, tf.float32)),
        CLASSES_OUTPUT: names_in_each_row(classes, tf.shape(logits)[0]),
    }


def multi_label(logits: tf.Tensor, classes: tuple[str, ...], threshold: float) -> Answer:
    """From logits [N, K]: each class's own probability (sigmoid), and whether it counts as there.

    Args:
        threshold: the least probability that does.
    """
    probabilities = tf.nn.sigmoid(tf.cast(logits, tf.float32))
    return {
        PROBABILITIES_OUTPUT: probabilities,
        CLASSES_OUTPUT: names_in_each_row(classes, tf.shape(logits)[0]),
        PRESENT_OUTPUT: probabilities >= threshold,
    }
