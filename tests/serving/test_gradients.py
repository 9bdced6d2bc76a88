"""The math of explanations, on scores whose attributions follow by hand."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from serving.graph import gradients
from serving.graph.gradients import (
    AffineLine,
    baseline_of,
    grad_cam,
    heat_png,
    integrated_gradients,
)

PIXELS = np.array([[[[1.0], [3.0]], [[np.nan], [5.0]]]], np.float32)


@pytest.mark.parametrize("together", [1, 3, 100], ids="{} steps at once".format)
@pytest.mark.parametrize("scale", [1.0, 2.0], ids="first part scales by {}".format)
def test_attributions_of_a_square_are_its_integral_and_no_data_gets_none(
    together, scale, monkeypatch
):
    images = np.concatenate([PIXELS, 2 * PIXELS])
    monkeypatch.setattr(gradients, "_PIXELS_TOGETHER", together * images[..., 0].size)
    baseline = baseline_of(tf.constant(images), "mean")
    assert baseline.numpy().ravel().tolist() == [3.0, 6.0]
    factors = tf.constant([1.0, 10.0])  # a score of its own for each image

    def score(values, rows):
        valid = tf.where(tf.math.is_finite(values), values / scale, 0.0)
        return tf.gather(factors, rows) * tf.reduce_sum(valid**2, axis=(1, 2, 3))

    line = AffineLine.between(lambda pixels: pixels * scale, baseline, tf.constant(images))
    found = integrated_gradients(line, score, steps=4).numpy()
    # The integral of 2x from the mean m to x is x^2 - m^2, and midpoints are exact for it.
    one = np.array([-8.0, 0.0, 0.0, 16.0])
    np.testing.assert_allclose(found.reshape(2, 4), [one, 40 * one], rtol=1e-5)


def test_an_infinite_pixel_stays_infinite_along_the_line_and_gets_nothing():
    """A network without an affine start that ignores non-finite values itself."""
    images = tf.constant([[[[1.0], [3.0]], [[np.inf], [-np.inf]]]])

    def score(values, rows):
        tf.debugging.assert_all_finite(tf.where(tf.math.is_inf(values), 0.0, values), "a NaN")
        return tf.reduce_sum(tf.where(tf.math.is_finite(values), values, 0.0) ** 2, axis=(1, 2, 3))

    line = AffineLine.between(lambda pixels: pixels, baseline_of(images, "mean"), images)
    found = integrated_gradients(line, score, steps=4).numpy()
    np.testing.assert_allclose(found.ravel(), [1 - 4, 9 - 4, 0, 0], rtol=1e-5)


def test_a_score_that_an_infinite_pixel_overflows_has_no_sum_and_a_black_picture():
    images = tf.constant([[[[1.0], [np.inf]]]])
    line = AffineLine.between(lambda pixels: pixels, baseline_of(images, "mean"), images)
    found = integrated_gradients(
        line, lambda values, rows: tf.reduce_sum(values, axis=(1, 2, 3)) ** 2, steps=4
    )
    assert not np.isfinite(found.numpy().sum()), "a client sees that nothing is explained"
    [png] = heat_png(tf.abs(found[..., 0])).numpy()
    assert not np.asarray(Image.open(io.BytesIO(png))).any()


def test_half_precision_keeps_the_sum_of_many_steps(monkeypatch):
    """bfloat16 has 8 digits: 256 + 1 is 256 there, so that half of 512 steps would be lost."""
    monkeypatch.setattr(gradients, "_PIXELS_TOGETHER", 1)
    images = tf.constant([[[[1.0], [3.0]]]])
    line = AffineLine.between(
        lambda pixels: tf.cast(pixels, tf.bfloat16), baseline_of(images, "zero"), images
    )
    found = integrated_gradients(
        line,
        lambda values, rows: tf.reduce_sum(tf.cast(values, tf.float32), axis=(1, 2, 3)),
        steps=512,
    )
    np.testing.assert_allclose(found.numpy().ravel(), [1.0, 3.0])


def test_grad_cam_keeps_what_speaks_for_the_score_and_adds_up_to_it():
    maps = tf.constant([[[[2.0, 1.0], [0.0, -3.0]]]])  # one row of two places
    slopes = tf.constant([[[[1.0, 1.0], [1.0, 1.0]]]])
    found = grad_cam([maps], [slopes], height=2, width=2).numpy()
    np.testing.assert_allclose(found[0], [[1.5, 0.0], [1.5, 0.0]])  # 3 over two pixels; -3 is out


def test_heat_is_a_picture_whose_hottest_hundredth_is_white():
    heat = np.zeros((2, 10, 20), np.float32)
    heat[0, 0, :3] = 4.0, 2.0, 1.0  # two of 200 pixels are a hundredth: 2 is white
    hot, cold = (
        np.asarray(Image.open(io.BytesIO(png))) for png in heat_png(tf.constant(heat)).numpy()
    )
    assert hot[0, :4].tolist() == [65535, 65535, 32768, 0]
    assert hot.dtype == np.uint16
    assert not cold.any()
