"""Batch normalisation by one operation, beside that of Keras."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainer.models.batch_norm import BatchNormalization

SHAPE = (4, 5, 3, 2)
_KERAS = keras.layers.BatchNormalization


def learnt(kind, rows, momentum=0.9):
    """Outputs, gradients and statistics after a training step on rows."""
    layer = kind(momentum=momentum)
    layer.build(rows.shape)
    layer.set_weights(np.float32([[2, 0.5], [1, -1], [0.25, 3], [4, 1]]))
    weighted = tf.constant(np.arange(rows.size, dtype=np.float32).reshape(rows.shape))
    given = tf.constant(rows)
    with tf.GradientTape() as tape:
        tape.watch(given)
        outputs = layer(given, training=True)
        loss = tf.reduce_sum(tf.square(tf.cast(outputs, tf.float32)) * weighted)
    sources = [given, *[one.value for one in layer.trainable_variables]]
    return [outputs, *tape.gradient(loss, sources), *layer.get_weights()]


@pytest.mark.parametrize("rows", [SHAPE, (1, 1, 2, 2), (1, 1, 1, 2)], ids=str)
def test_outputs_gradients_and_statistics_are_those_of_keras(rows):
    drawn = np.random.default_rng(0).normal(5, 3, rows).astype(np.float32)
    ours, keras_own = (learnt(kind, drawn) for kind in (BatchNormalization, _KERAS))
    for one, other in zip(ours, keras_own, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-3)


def test_statistics_follow_the_batch():
    rows = np.zeros((2, 1, 1, 2), np.float32)
    rows[1] = [2, 6]  # means 1 and 3, variances 1 and 9
    mean, variance = learnt(BatchNormalization, rows, momentum=0.75)[-2:]
    np.testing.assert_allclose(mean, [0.75 * 0.25 + 0.25 * 1, 0.75 * 3 + 0.25 * 3], rtol=1e-5)
    np.testing.assert_allclose(variance, [0.75 * 4 + 0.25 * 1, 0.75 * 1 + 0.25 * 9], rtol=1e-5)


def test_half_precision_keeps_its_type_and_full_statistics():
    keras_own = keras.layers.BatchNormalization(dtype="mixed_float16")
    ours = BatchNormalization(dtype="mixed_float16")
    rows = np.random.default_rng(1).normal(300, 200, SHAPE).astype(np.float16)
    expected, found = keras_own(rows, training=True), ours(rows, training=True)
    assert found.dtype == expected.dtype == tf.float16
    np.testing.assert_allclose(found, expected, atol=4e-3)
    for one, other in zip(ours.get_weights(), keras_own.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4)


def test_what_is_fixed_neither_learns_nor_changes():
    layer = BatchNormalization()
    layer.trainable = False
    rows = np.random.default_rng(2).normal(5, 3, SHAPE).astype(np.float32)
    np.testing.assert_allclose(layer(rows, training=True), rows / np.sqrt(1.001), rtol=1e-5)
    assert [one.tolist() for one in layer.get_weights()] == [[1, 1], [0, 0], [0, 0], [1, 1]]
