import keras
import numpy as np
import pytest
import tensorflow as tf
from pydantic import ValidationError

from components.raster.errors import ConfigError
from tests.trainer.augment.batches import STILL, distinct, tiles, view
from trainer.augment.augmentation import Augmentation, band_groups
from trainer.augment.config import Augment, chosen_views
from trainer.augment.geometry import RandomSymmetry

EVERYTHING = {
    name: {}
    for name in (
        *("zoom", "crop", "shift", "brightness", "contrast", "colour", "noise", "cloud"),
        *("missing_band", "cutout", "mixup", "cutmix"),
    )
}


def whole(images):
    """A batch with every kind of truth."""
    count, height, width, _ = images.shape
    return {
        "images": images,
        "targets": np.eye(count, dtype=np.float32),
        "masks": np.zeros((count, height, width), np.uint8),
        "boxes": np.tile(np.array([[1, 1, 5, 6]], np.float32), (count, 2, 1)),
        "classes": np.tile([[1, -1]], (count, 1)),
    }


@pytest.mark.parametrize(
    "images", [distinct(count=8), tiles(count=8)], ids=["photographs", "rasters"]
)
def test_the_same_seed_gives_the_same_views_and_another_seed_others(images):
    one, same, other = (
        view({**EVERYTHING, "quarter_turns": True}, whole(images), seed)
        for seed in ((1, 2), (1, 2), (1, 3))
    )
    for name, value in one.items():
        assert np.array_equal(value, same[name], equal_nan=name == "images")
        assert (value.shape, value.dtype) == (whole(images)[name].shape, whole(images)[name].dtype)
    assert not np.array_equal(one["images"], other["images"], equal_nan=True)


def test_nothing_is_frozen_when_the_graph_is_traced():
    layer = Augmentation(Augment.model_validate(EVERYTHING))
    traces = []

    @tf.function(autograph=False)
    def graph(batch, seed):
        traces.append(1)
        return layer(batch, seed=seed)

    batch = {name: tf.constant(it) for name, it in whole(distinct(count=8)).items()}
    first, second, again = (graph(batch, tf.constant([5, n])) for n in (0, 1, 0))
    assert len(traces) == 1
    assert not np.array_equal(first["images"], second["images"])
    assert np.array_equal(first["images"], again["images"])
    eager = layer(batch, seed=tf.constant([5, 1]))
    np.testing.assert_allclose(
        eager["images"].numpy().astype(int), second["images"].numpy().astype(int), atol=1
    )


def test_the_first_batch_is_computed_once(monkeypatch):
    calls, view_of = [], RandomSymmetry.view

    def counted(self, batch, seed):
        calls.append(self)
        return view_of(self, batch, seed)

    monkeypatch.setattr(RandomSymmetry, "view", counted)
    view({"flip": ("horizontal",)}, {"images": distinct()})
    assert len(calls) == 1


def test_one_more_view_leaves_the_draws_of_the_others_alone():
    images = {"images": distinct(count=20)}
    flipped = view({"flip": ("horizontal",)}, images)["images"]
    both = view({"flip": ("horizontal",), "missing_band": {"probability": 1}}, images)["images"]
    kept = both != 0
    assert np.array_equal(both[kept], flipped[kept])


def test_a_batch_of_any_size_goes_through_one_graph():
    layer = Augmentation(Augment.model_validate(EVERYTHING))
    spec = tf.TensorSpec((None, 8, 8, 3), tf.uint8)
    graph = tf.function(
        lambda images, seed: layer({"images": images}, seed=seed)["images"], autograph=False
    )
    traced = graph.get_concrete_function(spec, tf.TensorSpec((2,), tf.int32))
    for count in (1, 5):
        assert traced(tf.constant(distinct(count=count)), tf.constant([0, 0])).shape == (
            count,
            8,
            8,
            3,
        )


def test_mixed_precision_leaves_pixels_alone():
    batch = {"images": np.full((4, 8, 8, 2), 12345.0, np.float32)}
    keras.config.set_dtype_policy("mixed_float16")
    try:
        seen = view({"flip": ("vertical",)}, batch)["images"]
    finally:
        keras.config.set_dtype_policy("float32")
    assert seen.dtype == np.float32
    assert (seen == 12345.0).all()


def test_true_is_flips_and_quarter_turns():
    assert chosen_views(False) is None
    views = Augmentation(chosen_views(True)).views
    assert [type(one).__name__ for one in views] == ["RandomSymmetry"]
    assert chosen_views(True) == Augment(flip=("horizontal", "vertical"), quarter_turns=True)
    assert not Augmentation(Augment.model_validate(STILL)).views


def test_the_layers_tell_their_configuration():
    layer = Augmentation(Augment.model_validate(EVERYTHING), ["B0", "B1"], ignore=7)
    config = layer.get_config()
    assert config["augment"]["zoom"] == {"probability": 0.5, "least": 0.8, "most": 1.25}
    assert (config["bands"], config["ignore"]) == (["B0", "B1"], 7)
    assert all("trainable" in one.get_config() for one in layer.views)
    assert not layer.variables


def test_band_groups_are_numbered_and_the_rest_is_one_group_more():
    assert band_groups([["a", "c"], ["b"]], ["a", "b", "c", "d"]) == (0, 1, 0, 2)
    assert band_groups(None, ["a", "b"]) == (0, 0)


@pytest.mark.parametrize(
    ("groups", "message"),
    [([["x"]], r"names 'x'; there are a, b"), ([["a"], ["a"]], "names a twice")],
)
def test_a_band_group_that_cannot_be_is_refused(groups, message):
    with pytest.raises(ConfigError, match=message):
        band_groups(groups, ["a", "b"])


@pytest.mark.parametrize(
    "parts",
    [
        {"zoom": {"least": 1.2, "most": 0.9}},
        {"flip": ["diagonal"]},
        {"blur": {}},
        {"cutout": {"probability": 0}},
    ],
)
def test_views_that_cannot_be_are_refused(parts):
    with pytest.raises(ValidationError):
        Augment.model_validate(parts)
