"""The math of explanations, on scores whose attributions follow by hand."""

import io

import numpy as np
import tensorflow as tf
from PIL import Image

from serving.graph.gradients import baseline_of, grad_cam, heat_png, integrated_gradients

PIXELS = np.array([[[[1.0], [3.0]], [[np.nan], [5.0]]]], np.float32)


def test_attributions_of_a_square_are_its_integral_and_no_data_gets_none():
    baseline = baseline_of(tf.constant(PIXELS), "mean")
    assert baseline.numpy().ravel().tolist() == [3.0]

    def score(pixels):
        valid = tf.where(tf.math.is_finite(pixels), pixels, 0.0)
        return tf.reduce_sum(valid**2, axis=(1, 2, 3))

    found = integrated_gradients(score, tf.constant(PIXELS), baseline, steps=4).numpy()
    # The integral of 2x from 3 to x is x^2 - 9, and midpoints are exact for it.
    np.testing.assert_allclose(found.ravel(), [-8.0, 0.0, 0.0, 16.0], atol=1e-5)


def test_grad_cam_keeps_what_speaks_for_the_score_and_adds_up_to_it():
    maps = tf.constant([[[[2.0, 1.0], [0.0, -3.0]]]])  # one row of two places
    gradients = tf.constant([[[[1.0, 1.0], [1.0, 1.0]]]])
    found = grad_cam([maps], [gradients], height=2, width=2).numpy()
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
