"""Batch normalisation whose training is one operation."""

from typing import Any

import keras
import tensorflow as tf


class BatchNormalization(keras.layers.BatchNormalization):
    """Batch normalisation of [N, h, w, D] by TensorFlow's fused operation; results are Keras's.

    Keras 3 composes moments, scaling and their gradients of some twenty operations, each of which
    reads all activations: about a third of a training step of a small network. At inference the
    layer is Keras's own.
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        if not training or not self.trainable:
            return super().call(inputs, training=training, mask=mask)
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs, self.gamma.value, self.beta.value, epsilon=self.epsilon, is_training=True
        )
        # The operation returns the unbiased variance; Keras averages that of the batch.
        count = tf.cast(tf.reduce_prod(tf.shape(inputs)[:-1]), variance.dtype)
        biased = variance * tf.maximum(count - 1, 1) / count
        for average, value in ((self.moving_mean, mean), (self.moving_variance, biased)):
            average.assign(average * self.momentum + value * (1 - self.momentum))
        return outputs
