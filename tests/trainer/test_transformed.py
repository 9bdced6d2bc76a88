import numpy as np
import pytest
import tensorflow as tf

from components.raster.errors import ConfigError
from components.raster.image import ImageSpec
from tests.trainer.objectives import of_classes
from trainer.augment.augmentation import Augmentation
from trainer.augment.config import Augment
from trainer.augment.follow import following
from trainer.data.dataset import InMemory
from trainer.data.share import Share
from trainer.data.transformed import TransformedSource
from trainer.imbalance.config import Imbalance
from trainer.imbalance.weighing import weighing
from trainer.tasks.config import DetectionOptions, SegmentationOptions
from trainer.tasks.conflicts import conflict
from trainer.tasks.detection import Detection
from trainer.tasks.segmentation import Segmentation

BATCH, EXAMPLES, SIDE = 4, 10, 8
STEPS = EXAMPLES // BATCH
RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(1, 256, (EXAMPLES, SIDE, SIDE, 3)).astype(np.uint8)
LABELS = np.arange(EXAMPLES) % 3
VIEWS = {"cutout": {}, "brightness": {}}


OBJECTIVES = {
    "single_label": of_classes(3),
    "segmentation": Segmentation(("a", "b"), SegmentationOptions()),
    "detection": Detection(("a", "b"), DetectionOptions(), ImageSpec()),
}


def shown(views=VIEWS, targets=LABELS, task="single_label"):
    augmentation = Augmentation(Augment.model_validate(views), ignore=255)
    return TransformedSource(InMemory(IMAGES, targets), following(augmentation, OBJECTIVES[task]))


def images(source, seed=1, first_epoch=0, skip=0, steps=STEPS):
    batches = source.epochs(BATCH, seed, first_epoch, skip).take(steps)
    return np.stack([inputs for inputs, _ in batches])


def test_the_same_seed_gives_the_same_views_and_another_others():
    first = images(shown())
    assert np.array_equal(images(shown()), first)
    assert not np.array_equal(images(shown(), seed=2), first)


def test_an_image_is_seen_anew_in_every_epoch():
    whole = InMemory(IMAGES[:1].repeat(BATCH, axis=0), LABELS[:BATCH])
    source = TransformedSource(whole, shown().transform)
    first, second, *_ = images(source, steps=3)
    assert not np.array_equal(first, second)
    assert len({image.tobytes() for image in first}) > 1


def test_a_resumed_training_sees_what_it_would_have_seen():
    undisturbed = images(shown(), steps=4 * STEPS)
    assert np.array_equal(images(shown(), first_epoch=3), undisturbed[3 * STEPS :])
    assert np.array_equal(
        images(shown(), first_epoch=1, skip=1, steps=1)[0], undisturbed[STEPS + 1]
    )


ALWAYS = {"probability": 1.0}
LIGHT = ("brightness", "contrast", "colour", "noise")
COVER = ("cloud", "missing_band", "cutout")
EACH_BY_ITSELF = dict.fromkeys(("zoom", "crop", "shift", *LIGHT, *COVER), ALWAYS)


@pytest.mark.parametrize(
    ("workers", "replicas", "skip"),
    [(2, 2, 1), pytest.param(4, 1, 0, marks=pytest.mark.slow)],
)
def test_workers_show_their_parts_of_what_one_process_would(workers, replicas, skip):
    """All draws of all views, of the first batches and of later ones."""
    separate = shown(EACH_BY_ITSELF)
    # One trace for the whole and one for the parts, not one for each of their data sets.
    source = TransformedSource(separate.source, tf.function(separate.transform, autograph=False))
    wanted = list(source.epochs(BATCH, 1, 1, skip).take(STEPS))
    parts = [
        list(source.epochs(BATCH, 1, 1, skip, share).take(STEPS * replicas))
        for share in (Share(index, workers, replicas) for index in range(workers))
    ]
    for step, (inputs, labels) in enumerate(wanted):
        own = [part[step * replicas + each] for part in parts for each in range(replicas)]
        assert np.array_equal(np.concatenate([rows for rows, _ in own]), inputs)
        assert np.array_equal(np.concatenate([rows for _, rows in own]), labels)


def test_workers_mix_images_within_their_parts():
    shares = np.eye(EXAMPLES, dtype=np.float32)  # each image a class, so that a truth tells whose
    source = shown({"mixup": ALWAYS}, shares)
    plain = InMemory(IMAGES, shares)
    for index in range(2):
        part = Share(index, 2)
        for (_, mixed), (_, own) in zip(
            source.epochs(BATCH, 1, share=part).take(STEPS),
            plain.epochs(BATCH, 1, share=part).take(STEPS),
            strict=True,
        ):
            assert np.array_equal(mixed.numpy().sum(axis=0) > 0, own.numpy().sum(axis=0) > 0)
            assert (mixed.numpy().max(axis=1) < 1).any()


def test_what_is_evaluated_is_seen_as_it_is():
    seen = np.concatenate([inputs for inputs, _ in shown().once(3)])
    assert np.array_equal(seen, IMAGES)


def test_hard_labels_stay_and_masks_boxes_and_shares_follow():
    inputs, labels = next(iter(shown().epochs(BATCH, 0)))
    assert labels.dtype == tf.int64
    masks = (IMAGES[..., 0] > 100).astype(np.uint8)
    turned = shown({}, masks, "segmentation")
    for inputs, targets in turned.epochs(BATCH, 0).take(STEPS):
        assert np.array_equal(targets, inputs.numpy()[..., 0] > 100)
    boxes = np.tile(np.array([[0, 0, 2, 8, 1], [0, 0, 0, 0, -1]], np.float32), (EXAMPLES, 1, 1))
    for _, targets in shown({}, boxes, "detection").epochs(BATCH, 0).take(STEPS):
        edges = targets.numpy()[:, 0, :4]
        areas = np.prod(edges[..., 2:] - edges[..., :2], axis=-1)
        assert (areas == 16).all()
        assert (targets.numpy()[..., 4] == (1, -1)).all()
    shares = np.eye(3, dtype=np.float32)[LABELS]
    mixed = next(iter(shown({"mixup": {"probability": 1}}, shares).epochs(BATCH, 0)))[1]
    np.testing.assert_allclose(mixed.numpy().sum(axis=1), 1, rtol=1e-5)
    assert (mixed.numpy() < 1).any()


def test_classes_weigh_their_examples_and_pixels():
    change, seed = weighing((0.5, 2.0, 3.0)), tf.constant([0, 0])
    weights = change((IMAGES, tf.constant(LABELS)), seed)[2]
    np.testing.assert_allclose(weights, np.array([0.5, 2, 3])[LABELS])
    shares = tf.constant([[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]])
    np.testing.assert_allclose(change((IMAGES[:2], shares), seed)[2], [1.25, 3])
    masks = tf.constant([[[0, 1], [255, 2]]], tf.uint8)
    np.testing.assert_allclose(change((IMAGES[:1], masks), seed)[2], [[[0.5, 2], [0, 3]]])
    twice = change((IMAGES[:1], masks, tf.constant([[[2.0, 0.0], [1.0, 1.0]]])), seed)[2]
    np.testing.assert_allclose(twice, [[[1, 0], [0, 3]]])


@pytest.mark.parametrize(
    ("view", "task", "right"),
    [
        ("mixup", "segmentation", False),
        ("mixup", "regression", True),
        ("cutmix", "regression", False),
        ("cutmix", "segmentation", True),
        ("cutmix", "detection", False),
        ("mixup", "multi_label", True),
    ],
)
def test_images_are_mixed_where_their_truth_can_be(view, task, right):
    wrong = conflict(task, Augment.model_validate({view: {}}), Imbalance())
    assert (wrong is None) == right
    assert right or f"augment.{view} makes no sense for {task}" in wrong
    assert conflict(task, True, Imbalance()) is None


def test_a_training_by_itself_refuses_what_a_pipeline_would(tmp_path, pattern, image_spec):
    from trainer.training.config import TrainConfig
    from trainer.training.splits import Splits
    from trainer.training.train import train

    splits = Splits((pattern("train"),), (pattern("eval"),), ("water", "forest"), "multi_label")
    config = TrainConfig.model_validate({"imbalance": {"sampling": "balanced"}})
    with pytest.raises(ConfigError, match="sampling is balanced, but an image of multi_label"):
        train(splits, image_spec, config, str(tmp_path), str(tmp_path))
