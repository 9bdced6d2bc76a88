"""Gradient accumulation: one update from several batches, in the memory of one."""

from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf

Step = Callable[[Any], dict[str, Any]]


def accumulated_step(model: keras.Model, parts: int) -> Step:
    """Returns the model's `train_step` for a batch that passes in `parts` consecutive parts.

    Their gradients are averaged for a single update. The schedule, weight averages and the
    optimizer's step count therefore count updates; batch normalisation sees each part.

    Args:
        model: compiled, with built metrics; a replica's rows must be divisible by `parts`.
    """
    [tracker] = [metric for metric in model.metrics if metric.name == "loss"]

    def step(batch: Any) -> dict[str, Any]:
        variables = model.trainable_variables
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        total: list[Any] = []
        results: dict[str, Any] = {}
        for part in _split(batch, parts):
            # Otherwise TensorFlow would run the parts in parallel, with the memory of all of them.
            with tf.control_dependencies([each for each in total if each is not None]):
                own = tf.nest.map_structure(tf.identity, part)
            inputs, targets, weights = keras.utils.unpack_x_y_sample_weight(own)
            with tf.GradientTape() as tape:
                outputs = model(inputs, training=True)
                loss = model.compute_loss(inputs, targets, outputs, weights, training=True)
                scaled = model.optimizer.scale_loss(loss / parts)
            tracker.update_state(loss * replicas, sample_weight=tf.shape(outputs)[0])
            total = list(_sums(total, tape.gradient(scaled, variables)))
            results = model.compute_metrics(inputs, targets, outputs, weights)
        model.optimizer.apply_gradients(zip(total, variables, strict=True))
        return results

    return step


def _split(batch: Any, parts: int) -> list[Any]:
    """Splits a batch into parts of consecutive rows."""
    columns = [tf.split(rows, parts) for rows in tf.nest.flatten(batch)]
    return [tf.nest.pack_sequence_as(batch, part) for part in zip(*columns, strict=True)]


def _sums(before: list[Any], gradients: list[Any]) -> Iterator[Any]:
    """Adds gradients; those of variables that the loss does not depend on are None in all parts."""
    for index, gradient in enumerate(gradients):
        yield gradient if gradient is None or not before else before[index] + gradient
