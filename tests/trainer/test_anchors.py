"""Anchors, offsets and targets, compared with figures by hand and with KerasHub."""

import numpy as np
import pytest
import tensorflow as tf

from trainer.losses.boxes import assign
from trainer.models.anchors import Anchors
from trainer.models.decode_boxes import decoded

ANCHORS = Anchors(64, 64, finest=2, levels=3, smallest_px=8.0)


def test_the_anchors_of_a_place_are_those_worked_out_by_hand():
    """Of 8, 8 x 2^(1/3) and 8 x 2^(2/3) pixels: squares, and half and twice as high as wide."""
    boxes = ANCHORS.boxes()
    heights, widths = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    of_the_first = boxes[:9]
    # Around the corner where the place begins, as KerasHub (and torchvision) has it.
    middle = (of_the_first[:, :2] + of_the_first[:, 2:]) / 2
    np.testing.assert_allclose(middle, 0.0, atol=1e-4)
    sizes = np.repeat(8 * 2 ** (np.arange(3) / 3), 3)
    high = np.sqrt(np.tile([0.5, 1, 2], 3))
    # KerasHub cuts sides down to whole pixels, so that one may be two pixels off.
    np.testing.assert_allclose(np.sort(heights[:9]), np.sort(sizes * high), atol=2.0)
    np.testing.assert_allclose(np.sort(widths[:9]), np.sort(sizes / high), atol=2.0)
    np.testing.assert_allclose(np.sort(heights[9:18]), np.sort(heights[:9]))


def test_moves_are_in_shares_of_the_anchor_and_logarithms():
    """An anchor moved by half its height and made e times as wide (Ren et al. 2015)."""
    moves = np.zeros((1, len(ANCHORS.boxes()), 4), np.float32)
    place = int(np.flatnonzero(ANCHORS.boxes().sum(axis=1) == 4 * 34)[0])
    moves[0, place] = (0.5, 0.0, 0.0, 1.0)
    top, left, bottom, right = ANCHORS.boxes()[place]
    height, width, middle = bottom - top, right - left, (left + right) / 2
    expected = (top + height / 2, middle - np.e * width / 2, bottom + height / 2)
    found = decoded(tf.constant(moves), ANCHORS).numpy()[0, place]
    np.testing.assert_allclose(found[:3], np.clip(expected, 0, 64), rtol=1e-4)


@pytest.mark.slow
def test_anchors_learn_what_kerashub_s_retinanet_would_have_them_learn():
    """KerasHub's encoder of labels is not public, so that it is asked in a test alone."""
    import keras_hub
    from keras_hub.src.models.retinanet.retinanet_label_encoder import RetinaNetLabelEncoder

    random = np.random.default_rng(0)
    corners, sides = random.uniform(0, 40, (2, 3, 2)), random.uniform(8, 20, (2, 3, 2))
    labels = np.tile(np.arange(3.0)[:, None], (2, 1, 1))
    truth = np.concatenate([corners, corners + sides, labels], -1).astype(np.float32)
    padding = np.array([0, 0, 0, 0, -1], np.float32)  # without a row of it the encoder fails
    truth = np.concatenate([truth, np.tile(padding, (2, 1, 1))], 1)
    generator = keras_hub.layers.AnchorGenerator("yxyx", 2, 4, 3, [0.5, 1.0, 2.0], 2.0)
    encoder = RetinaNetLabelEncoder(generator, "yxyx", box_matcher_force_match_for_each_col=True)
    pixels = np.zeros((2, 64, 64, 3), np.float32)
    wanted_moves, wanted = (np.asarray(it) for it in encoder(pixels, truth[..., :4], truth[..., 4]))
    labels, is_object, counts, moves = (it.numpy() for it in assign(tf.constant(truth), ANCHORS))
    np.testing.assert_array_equal(np.where(is_object, labels, np.where(counts, -1, -2)), wanted)
    assert is_object.sum() > 20
    np.testing.assert_allclose(moves[is_object], wanted_moves[is_object], atol=1e-5)
