"""Outputs that several tasks share."""

from typing import TypeAlias

import tensorflow as tf

#: Tensors of N rows by the names of `serving.contract.names`.
Answer: TypeAlias = dict[str, tf.Tensor]


def names_in_each_row(classes: tuple[str, ...], rows: tf.Tensor) -> tf.Tensor:
    """Repeats the class names, in index order, in each row: string [N, K]."""
    return tf.tile(tf.constant(classes, tf.string)[tf.newaxis], (rows, 1))
