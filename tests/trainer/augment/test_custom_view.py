"""Random views of the user's own: their place, their seed, and what is refused."""

import numpy as np
import pytest
import tensorflow as tf

from components.raster.errors import ConfigError
from components.raster.image import ImageSpec
from components.raster.task import TASKS
from tests.trainer.augment.batches import distinct, tiles, view
from trainer.augment.augmentation import Augmentation
from trainer.augment.config import Augment, CustomView
from trainer.augment.custom import require_view
from trainer.tasks.config import options_type

LINES = "skymill_example.views:missing_lines"
KEY = "train.model.augment.custom.0.call"
PHOTO = ImageSpec(height_px=16, width_px=16)
TILE = ImageSpec(height_px=16, width_px=16, bands=("red", "nir"))


def here(name):
    return f"{__name__}:{name}"


# Views of the tests, which their paths name.


def darkened(batch, seed, by=1):
    return {"images": batch["images"] - tf.cast(by, batch["images"].dtype)}


def doubled(batch, seed):
    return {"images": batch["images"] * 2}


class Noise:
    """An instance that is called, made once with the arguments."""

    def __init__(self, bands, most):
        self.most = tf.constant([most] * len(bands), tf.float32)

    def __call__(self, batch, seed):
        noise = tf.random.stateless_uniform(tf.shape(batch["images"]), seed) * self.most
        return {**batch, "images": batch["images"] + noise}


def unrepeatable(batch, seed):
    return {"images": batch["images"] + tf.random.uniform(tf.shape(batch["images"]))}


def in_numpy(batch, seed):
    return {"images": tf.constant(batch["images"].numpy())}


def halved(batch, seed):
    return {"images": batch["images"][:, ::2]}


def as_float(batch, seed):
    return {"images": tf.cast(batch["images"], tf.float64)}


def pixels_alone(batch, seed):
    return batch["images"]


def renamed(batch, seed):
    return {"image": batch["images"]}


def test_lines_are_hidden_in_the_image_and_its_mask():
    batch = {"images": tiles(), "masks": np.ones((32, 16, 16), np.int32)}
    seen = view({"custom": [{"call": LINES, "arguments": {"share": 0.25}}]}, batch)
    gone = np.isnan(seen["images"]).all(axis=(2, 3))
    assert 0.15 < gone.mean() < 0.35
    np.testing.assert_array_equal(seen["masks"] == 9, np.repeat(gone[..., None], 16, axis=2))
    kept = ~gone[..., None, None] & np.isfinite(batch["images"])
    np.testing.assert_array_equal(seen["images"][kept], batch["images"][kept])


def test_views_come_in_their_places():
    images = tf.fill((1, 8, 8, 3), tf.constant(10, tf.uint8))

    def seen(first, second):
        places = [{"call": here("darkened"), "before": first}]
        places.append({"call": here("doubled"), "before": second})
        return int(view({"custom": places}, {"images": images.numpy()})["images"][0, 0, 0, 0])

    assert seen("flip", "end") == seen("noise", "cloud") == seen("mixup", "mixup") == 18
    assert seen("end", "flip") == seen("cloud", "zoom") == 19
    layer = Augmentation(
        Augment.model_validate(
            {"cutout": {}, "mixup": {}, "custom": [{"call": LINES}], "noise": {}}
        )
    )
    names = [type(each).__name__ for each in layer.views]
    assert names == [
        "RandomSymmetry",
        "RandomNoise",
        "RandomCutout",
        "CustomLayer",
        "RandomMixup",
    ]


def test_a_seed_gives_the_same_views_and_each_view_has_its_own():
    custom = {"call": here("Noise"), "arguments": {"most": 5.0}}
    batch = {"images": tiles(4)}
    once, again = (view({"custom": [custom]}, batch)["images"] for _ in range(2))
    np.testing.assert_array_equal(once, again)
    other = view({"custom": [custom]}, batch, seed=(3, 5))["images"]
    assert np.nanmax(np.abs(once - other)) > 1
    twice = view({"custom": [custom, custom]}, batch)["images"]
    noise, both = once - batch["images"], twice - batch["images"]
    assert np.nanmax(np.abs(both - 2 * noise)) > 1


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("image", [PHOTO, TILE])
def test_a_view_of_any_truth_passes_the_trial(task, image):
    require_view(CustomView(call=LINES), KEY, image, options_type(task).seen_by_views)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("unrepeatable", "returns different views for the same seed.*tf.random.stateless"),
        ("in_numpy", "failed with "),
        ("halved", r"returns images as float32 \(2, 8, 16, 2\), but got them as float32 \(2, 16, "),
        ("as_float", "returns images as float64"),
        ("pixels_alone", "returns a EagerTensor, not a batch"),
        ("renamed", "returns 'image', which is not in the batch: it has images"),
    ],
)
def test_a_view_that_would_spoil_a_training_is_refused(name, message):
    with pytest.raises(ConfigError, match=f"^{KEY}: .*{message}"):
        require_view(CustomView(call=here(name)), KEY, TILE, ())


def test_a_part_of_a_batch_gets_the_views_of_the_whole():
    images = distinct(8).astype(np.float32)
    custom = {"custom": [{"call": LINES, "arguments": {"share": 0.5}}]}
    whole = view(custom, {"images": images})["images"]
    part = view(custom, {"images": images[2:5], "place": np.int32([2, 8])})["images"]
    np.testing.assert_array_equal(part, whole[2:5])
