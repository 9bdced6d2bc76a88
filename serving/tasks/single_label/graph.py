"""Served outputs of classification: one class of an image, or several."""

import tensorflow as tf

from serving.contract.names import (
    CLASS_OUTPUT,
    CLASSES_OUTPUT,
    PRESENT_OUTPUT,
    PROBABILITIES_OUTPUT,
)
from serving.tasks.parts import Answer, names_in_each_row


def single_label(logits: tf.Tensor, classes: tuple[str, ...]) -> Answer:
    """Converts logits [N, K] to the most probable class [N] and probabilities [N, K] (softmax)."""
    return {
        CLASS_OUTPUT: tf.gather(tf.constant(classes, tf.string), tf.argmax(logits, axis=1)),
        PROBABILITIES_OUTPUT: tf.nn.softmax(tf.cast(logits, tf.float32)),
        CLASSES_OUTPUT: names_in_each_row(classes, tf.shape(logits)[0]),
    }


def multi_label(logits: tf.Tensor, classes: tuple[str, ...], threshold: float) -> Answer:
    """Converts logits [N, K] to each class's probability (sigmoid) and presence.

    Args:
        threshold: the least probability of a present class.
    """
    probabilities = tf.nn.sigmoid(tf.cast(logits, tf.float32))
    return {
        PROBABILITIES_OUTPUT: probabilities,
        CLASSES_OUTPUT: names_in_each_row(classes, tf.shape(logits)[0]),
        PRESENT_OUTPUT: probabilities >= threshold,
    }
