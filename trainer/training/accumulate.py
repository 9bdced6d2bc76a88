"""One update from several batches: what a large batch teaches, in the memory of a small one."""

from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf

Step = Callable[[Any], dict[str, Any]]


def accumulated_step(model: keras.Model, parts: int) -> Step:
    """As the model's `train_step`, but the batch passes in `parts` consecutive ones, in turn.

    The gradient is the mean of theirs, and there is one update. So the schedule, averages of the
    weights and the optimizer's own count see updates alone; batch normalisation sees each part.

    Args:
        model: compiled, its metrics built; a replica's rows must divide by `parts`.
    """
    [tracker] = [metric for metric in model.metrics if metric.name == "loss"]

    def step(batch: Any) -> dict[str, Any]:
        variables = model.trainable_variables
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        total: list[Any] = []
        results: dict[str, Any] = {}
        for part in _split(batch, parts):
            # Without it TensorFlow would run the parts side by side, in the memory of all.
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
    """Batches of consecutive rows."""
    columns = [tf.split(rows, parts) for rows in tf.nest.flatten(batch)]
    return [tf.nest.pack_sequence_as(batch, part) for part in zip(*columns, strict=True)]


def _sums(before: list[Any], gradients: list[Any]) -> Iterator[Any]:
    """What does not depend on a variable has no gradient of it, in any part."""
    for index, gradient in enumerate(gradients):
        yield gradient if gradient is None or not before else before[index] + gradient
