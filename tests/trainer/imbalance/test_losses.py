import keras
import numpy as np
import pytest
import tensorflow as tf

from trainer.losses.labels import FocalCategorical, WeightedBinary

LOGITS = np.random.default_rng(1).normal(0, 2, (40, 5)).astype(np.float32)
CLASSES = np.arange(40) % 5


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


@pytest.mark.parametrize("gamma", [0.0, 1.0, 2.0])
def test_focal_loss_is_the_formula_of_its_paper(gamma):
    p = softmax(LOGITS.astype(np.float64))[np.arange(40), CLASSES]
    expected = -((1 - p) ** gamma) * np.log(p)
    np.testing.assert_allclose(
        FocalCategorical(gamma).call(CLASSES, tf.constant(LOGITS)), expected, rtol=1e-4
    )
    hot = np.eye(5, dtype=np.float32)[CLASSES]
    np.testing.assert_allclose(
        FocalCategorical(gamma).call(hot, tf.constant(LOGITS)), expected, rtol=1e-4
    )


def test_without_gamma_soft_labels_have_keras_cross_entropy():
    shares = softmax(LOGITS[::-1]).astype(np.float32)
    expected = keras.losses.CategoricalCrossentropy(from_logits=True)(shares, LOGITS)
    assert float(FocalCategorical(0.0)(shares, LOGITS)) == pytest.approx(float(expected), rel=1e-5)


def test_sample_weights_scale_the_loss_of_each():
    loss, weights = FocalCategorical(2.0), np.linspace(0, 2, 40).astype(np.float32)
    each = loss.call(CLASSES, tf.constant(LOGITS)).numpy()
    expected = (each * weights).mean()
    assert float(loss(CLASSES, LOGITS, sample_weight=weights)) == pytest.approx(expected, rel=1e-5)


def test_what_is_certain_has_a_finite_slope():
    for gamma in (0.5, 2.0):
        logits = tf.Variable([[200.0, 0.0], [0.0, 200.0]])
        with tf.GradientTape() as tape:
            value = FocalCategorical(gamma)(tf.constant([0, 0]), logits)
        assert np.isfinite(tape.gradient(value, logits)).all()
        with tf.GradientTape() as tape:
            value = WeightedBinary([1.0, 3.0], gamma)(tf.constant([[1.0, 0.0]] * 2), logits)
        assert np.isfinite(tape.gradient(value, logits)).all()


def test_presence_is_weighted_as_tensorflow_weighs_it():
    truth = (LOGITS[::-1] > 0).astype(np.float32)
    positive = np.array([1, 2, 5, 1, 9], np.float32)
    expected = tf.nn.weighted_cross_entropy_with_logits(truth, LOGITS, positive)
    found = WeightedBinary(positive.tolist()).call(truth, tf.constant(LOGITS))
    np.testing.assert_allclose(found, expected.numpy().mean(axis=1), rtol=1e-4)
    plain = WeightedBinary()(truth, LOGITS)
    assert float(plain) == pytest.approx(
        float(keras.losses.BinaryCrossentropy(from_logits=True)(truth, LOGITS)), rel=1e-5
    )


def test_smoothed_labels_are_those_of_keras():
    hot = np.eye(5, dtype=np.float32)[CLASSES]
    kwargs = {"from_logits": True, "label_smoothing": 0.2}
    expected = keras.losses.CategoricalCrossentropy(**kwargs)(hot, LOGITS)
    assert float(FocalCategorical(0.0, 0.2)(CLASSES, LOGITS)) == pytest.approx(
        float(expected), rel=1e-5
    )
    expected = keras.losses.BinaryCrossentropy(**kwargs)(hot, LOGITS)
    assert float(WeightedBinary(smoothing=0.2)(hot, LOGITS)) == pytest.approx(
        float(expected), rel=1e-5
    )


def test_focal_binary_loss_is_keras_own():
    truth = (LOGITS[::-1] > 0).astype(np.float32)
    expected = keras.losses.BinaryFocalCrossentropy(gamma=2.0, from_logits=True)(truth, LOGITS)
    assert float(WeightedBinary(gamma=2.0)(truth, LOGITS)) == pytest.approx(
        float(expected), rel=1e-4
    )
