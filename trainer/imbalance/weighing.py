"""Class weights as weights of examples or pixels."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from trainer.data.transformed import BatchTransform


def weighing(weights: Sequence[float]) -> BatchTransform:
    """Returns the transform that multiplies each target's weight by the weight of its class.

    Targets are class indices of any shape, [N] or [N, H, W], where an index outside the classes has
    weight 0; or shares [N, K], which are weighted in proportion.
    """
    table = tf.constant([*weights, 0.0])

    def change(
        batch: tuple[Any, ...], seed: tf.Tensor, place: tf.Tensor | None = None
    ) -> tuple[Any, ...]:
        inputs, targets, *before = batch
        if targets.dtype.is_floating:
            found = tf.linalg.matvec(targets, table[:-1])
        else:
            index = tf.cast(targets, tf.int64)
            none = tf.constant(len(weights), tf.int64)
            known = (index >= 0) & (index < none)
            found = tf.gather(table, tf.where(known, index, none))
        for weight in before:
            found = found * tf.cast(weight, found.dtype)
        return inputs, targets, found

    return change
