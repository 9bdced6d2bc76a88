"""Masks as targets, and loss and metrics where the truth is known."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from components.raster.fitting import fit_mask
from components.raster.image import ImageSpec
from tests.trainer.rasters import serialized, write_records
from trainer.data.dataset import InMemory, Streamed, open_source
from trainer.data.masks import target_masks
from trainer.losses.pixels import PixelLoss
from trainer.metrics.pixels import MeanIou, PixelAccuracy
from trainer.tasks.config import SegmentationOptions
from trainer.tasks.segmentation import Segmentation

IGNORE = 255


def png(mask):
    return tf.io.encode_png(mask[..., np.newaxis])


@pytest.mark.parametrize("fit", ["stretch", "pad", "crop"])
def test_masks_follow_their_images_as_the_evaluation_lets_them(fit):
    random = np.random.default_rng(0)
    spec = ImageSpec(height_px=37, width_px=52, fit=fit)
    shapes = [(37, 52), (100, 30), (33, 200), (8, 9), (149, 150)]
    masks = [random.choice([0, 1, 2, IGNORE], shape).astype(np.uint8) for shape in shapes]
    found = target_masks(tf.stack([png(mask) for mask in masks]), spec, 3).numpy()
    assert found.dtype == np.uint8
    for mask, target in zip(masks, found, strict=True):
        np.testing.assert_array_equal(target, fit_mask(mask, spec, IGNORE))


def test_masks_of_many_classes_have_16_bits():
    mask = np.arange(400, dtype=np.uint16).reshape(20, 20)
    mask[0, 0] = 65535
    found = target_masks(tf.stack([png(mask)]), ImageSpec(height_px=20, width_px=20), 400)
    np.testing.assert_array_equal(found[0], mask)


def test_an_index_that_is_no_class_is_reported():
    with pytest.raises(tf.errors.InvalidArgumentError, match="beyond the 3 classes"):
        target_masks(tf.stack([png(np.full((8, 8), 3, np.uint8))]), ImageSpec(), 3)


@pytest.fixture(scope="module")
def batch():
    """Truth [2, 4, 4] with ignored pixels, logits [2, 4, 4, 3], and what is known of them."""
    random = np.random.default_rng(1)
    truth = random.choice([0, 1, IGNORE], (2, 4, 4)).astype(np.uint8)
    return truth, random.normal(size=(2, 4, 4, 3)).astype(np.float32), truth != IGNORE


def softmax(logits):
    return np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)


def test_the_cross_entropy_is_that_of_the_known_pixels(batch):
    truth, logits, known = batch
    p = np.take_along_axis(softmax(logits), np.where(known, truth, 0)[..., None], -1)[..., 0]
    by_hand = (-np.log(p) * known).mean(axis=(1, 2))
    np.testing.assert_allclose(PixelLoss(IGNORE).call(truth, logits), by_hand, rtol=1e-5)
    weights = np.array([0.5, 2.0, 1.0])
    weighted = (-np.log(p) * known * weights[np.where(known, truth, 0)]).mean(axis=(1, 2))
    found = PixelLoss(IGNORE, class_weights=weights).call(truth, logits)
    np.testing.assert_allclose(found, weighted, rtol=1e-5)
    focal = (-np.log(p) * (1 - p) ** 2 * known).mean(axis=(1, 2))
    np.testing.assert_allclose(PixelLoss(IGNORE, gamma=2).call(truth, logits), focal, rtol=1e-5)


def test_dice_is_over_the_classes_that_are_there(batch):
    truth, logits, known = batch
    wanted = []
    for each, p, there in zip(truth, softmax(logits), known, strict=True):
        scores = [
            2 * p[(each == k) & there, k].sum() / ((each == k).sum() + p[there, k].sum())
            for k in (0, 1)
        ]
        wanted.append(1 - np.mean(scores))
    loss = PixelLoss(IGNORE, cross_entropy=0, dice=1)
    np.testing.assert_allclose(loss.call(truth, logits), wanted, rtol=1e-5)


def test_what_an_ignored_pixel_is_taken_for_does_not_matter(batch):
    truth, logits, known = batch
    other = np.where(known[..., None], logits, 50 * np.eye(3)[2])
    loss = PixelLoss(IGNORE, dice=1)
    np.testing.assert_allclose(loss.call(truth, other), loss.call(truth, logits), rtol=1e-5)
    nothing = np.full_like(truth, IGNORE)
    np.testing.assert_array_equal(loss.call(nothing, logits), [0, 0])


def test_the_metrics_count_known_pixels_over_batches(batch):
    truth, logits, known = batch
    found = logits.argmax(axis=-1)
    ious = []
    for k in (0, 1):  # class 2 is nowhere true
        true, predicted = (truth == k) & known, (found == k) & known
        ious.append((true & predicted).sum() / (true | predicted).sum())
    for metric, wanted in (
        (MeanIou(3, IGNORE, "mean_iou"), np.mean(ious)),
        (PixelAccuracy(3, IGNORE, "pixel_accuracy"), (truth == found)[known].mean()),
    ):
        for row in range(2):
            metric.update_state(truth[row : row + 1], logits[row : row + 1])
        assert float(metric.result()) == pytest.approx(wanted)
        metric.reset_state()
        assert float(metric.result()) == 0
    assert isinstance(MeanIou(3, IGNORE, "x"), keras.metrics.Metric)


def test_the_metrics_of_pixels_compile_with_xla():
    metric = PixelAccuracy(3, IGNORE, "pixel_accuracy")
    truth = np.array([[[0, 1, 2, IGNORE]]])
    update = tf.function(metric.update_state, jit_compile=True, autograph=False)
    update(tf.constant(truth), tf.one_hot([[[0, 2, 2, 1]]], 3))
    assert float(metric.result()) == pytest.approx(2 / 3)
    assert float(metric.counts[1, 2]) == 1


def test_masks_count_in_the_memory_that_a_split_takes(tmp_path):
    spec = ImageSpec(height_px=8, width_px=8)
    plain = png(np.zeros((8, 8), np.uint8)).numpy()
    values = {"image/encoded": [plain], "mask/encoded": [plain]}
    path = write_records(tmp_path / "one.tfrecord", [serialized(values)] * 2)
    size = 2 * 8 * 8 * (3 + 1)
    objective = Segmentation(("a", "b"), SegmentationOptions())
    assert isinstance(open_source((path,), 2, spec, objective, size, 4), InMemory)
    assert isinstance(open_source((path,), 2, spec, objective, size - 1, 4), Streamed)
