"""A network of the user's own as the body: accepted and refused outputs."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from components.raster.errors import ConfigError
from components.raster.image import ImageSpec
from serving.contract.contract import Contract
from tests.trainer.objectives import of_classes
from tests.trainer.test_run import accuracy, fn_args
from trainer.data.bands import BandScale
from trainer.models.config import Custom
from trainer.models.custom import custom_body, require_body
from trainer.run import run_fn
from trainer.tasks.config import DetectionOptions, SegmentationOptions
from trainer.tasks.detection import Detection
from trainer.tasks.network import build_network
from trainer.tasks.registry import objective_type
from trainer.tasks.segmentation import Segmentation
from trainer.training.config import TrainConfig
from trainer.training.export import export

SEPARABLE = "skymill_example.models:separable"
PHOTO = ImageSpec(height_px=32, width_px=48)
TILE = ImageSpec(height_px=32, width_px=48, bands=("red", "nir"))
SCALE = BandScale((100.0, 200.0), (10.0, 20.0))


def custom(build=SEPARABLE, **fields):
    return Custom.model_validate({"kind": "custom", "build": build, **fields})


# Builders of the tests, which their paths name.


class Seen(keras.layers.Layer):
    """Its features are the pixels' means by band: what the network is shown."""

    def call(self, pixels):
        return keras.ops.mean(pixels, axis=(1, 2))


class Brightness(keras.layers.Layer):
    """One of three brightnesses, looked up in a table, times variables of TensorFlow's own."""

    def __init__(self):
        super().__init__()
        known = tf.lookup.KeyValueTensorInitializer(tf.range(3), tf.constant([-1.0, 0.0, 2.0]))
        self.tables = [tf.lookup.StaticHashTable(known, default_value=9.0)]
        self.gain = tf.Variable(5.0)
        self.inner = tf.Module()
        self.inner.gain = tf.Variable(2.0)

    def call(self, pixels):
        level = tf.cast(tf.reduce_mean(pixels, axis=(1, 2)) > 0, tf.int32)
        found = self.tables[0].lookup(tf.reduce_sum(level, axis=-1))
        return (self.gain * self.inner.gain * found)[:, tf.newaxis]


class Subclassed(keras.Model):
    """A model that is not a graph of layers, with two maps, the coarse one first."""

    def __init__(self, filters=4):
        super().__init__()
        self.fine = keras.layers.Conv2D(filters, 3, strides=2, padding="same")
        self.coarse = keras.layers.Conv2D(filters, 3, strides=2, padding="same")

    def call(self, pixels):
        fine = self.fine(pixels)
        return {"coarse": self.coarse(fine), "fine": fine}


def looked_up(input_shape):
    """One number per image, which a table holds."""
    pixels = keras.Input(input_shape)
    return keras.Model(pixels, Brightness()(pixels))


def one_path(input_shape):
    """A plain chain of layers that ends at a fourth of the sides."""
    layers = keras.layers
    strided = {"strides": 2, "padding": "same"}
    return keras.Sequential(
        [keras.Input(input_shape), layers.Conv2D(4, 3, **strided), layers.Conv2D(6, 3, **strided)]
    )


def tokens(input_shape):
    """Patches of 8 x 8 pixels, as a transformer's."""
    pixels = keras.Input(input_shape)
    patches = keras.layers.Conv2D(5, 8, strides=8)(pixels)
    return keras.Model(pixels, keras.layers.Reshape((-1, 5))(patches))


def vector(input_shape):
    """One vector an image."""
    pixels = keras.Input(input_shape)
    return keras.Model(pixels, keras.layers.GlobalAveragePooling2D()(pixels))


def twins(input_shape):
    """Two maps of one size."""
    pixels = keras.Input(input_shape)
    return keras.Model(pixels, [keras.layers.Conv2D(2, 1)(pixels), pixels])


def normalised(input_shape):
    """With batch normalisation."""
    layers = [keras.Input(input_shape), keras.layers.BatchNormalization(momentum=0.5)]
    return keras.Sequential([*layers, keras.layers.Conv2D(3, 3)])


def of_red_alone():
    """A network of one band only."""
    return keras.Sequential([keras.Input((32, 48, 1)), keras.layers.Conv2D(2, 3)])


def flat():
    """A layer of vectors, not of images."""
    return keras.layers.GlobalAveragePooling1D()


def here(name):
    return f"{__name__}:{name}"


def test_a_network_sees_bands_of_mean_0_and_photographs_from_minus_1_to_1():
    body = custom_body(custom(here("Seen")), TILE, SCALE, pooled=True)
    tile = np.tile(np.float32([120, 180]), (2, 32, 48, 1))
    tile[1, :16] = np.nan  # no data, which becomes the mean
    np.testing.assert_allclose(body(tile), [[2, -1], [1, -0.5]], atol=1e-6)
    body = custom_body(custom(here("Seen")), PHOTO, None, pooled=True)
    photo = np.tile(np.uint8([0, 51, 255]), (1, 32, 48, 1))
    np.testing.assert_allclose(body(photo), [[-1, -0.6, 1]], atol=1e-4)


@pytest.mark.parametrize(
    ("build", "vector_size", "maps"),
    [
        (SEPARABLE, 64, [(16, 24, 16), (8, 12, 32), (4, 6, 64)]),
        (here("Subclassed"), 4, [(16, 24, 4), (8, 12, 4)]),
        (here("one_path"), 6, [(16, 24, 4), (8, 12, 6)]),
    ],
)
def test_features_are_a_vector_or_maps_from_fine_to_coarse(build, vector_size, maps):
    whole = custom_body(custom(build), TILE, SCALE, pooled=True)
    assert whole.output_shape == (None, vector_size)
    placed = custom_body(custom(build), TILE, SCALE, pooled=False)
    assert [shape[1:] for shape in placed.output_shape] == maps


def test_tokens_are_averaged():
    body = custom_body(custom(here("tokens")), PHOTO, None, pooled=True)
    assert body.output_shape == (None, 5)


def test_every_kind_of_head_sits_on_it():
    for objective in (
        of_classes(3),
        Segmentation(("soil", "field"), SegmentationOptions()),
        Detection(("house",), DetectionOptions(levels=2, filters=8), TILE),
    ):
        model = custom(arguments={"width": 8})
        served = build_network(model, TILE, objective, SCALE).served()
        first = keras.tree.flatten(served(np.zeros((2, 32, 48, 2), np.float32)))[0]
        assert first.shape[0] == 2


@pytest.mark.parametrize(
    ("build", "task", "message"),
    [
        (here("vector"), "segmentation", r"\(None, 3\); this task needs feature maps"),
        (here("tokens"), "detection", "needs feature maps: return maps"),
        (here("twins"), "segmentation", r"two feature maps have the same size \(\(32, 48\), "),
        (here("of_red_alone"), "single_label", r"takes \(None, 32, 48, 1\), but gets pixels"),
        (here("flat"), "single_label", r"does not accept pixels of \(None, 32, 48, 3\): ."),
        ("json:JSONEncoder", "single_label", "returns a JSONEncoder; it must be a keras.Model"),
    ],
)
def test_what_has_no_such_features_is_refused(build, task, message):
    with pytest.raises(ConfigError, match=f"^train.model.build: .*{message}"):
        require_body(custom(build), PHOTO, objective_type(task).pooled)


def test_tables_and_variables_of_tensorflow_are_served(tmp_path):
    model = build_network(custom(here("looked_up")), TILE, of_classes(3), SCALE).served()
    bands = np.float32([[90, 190], [110, 190], [110, 210]])  # about means of 100 and 200
    tiles = np.broadcast_to(bands[:, np.newaxis, np.newaxis], (3, 32, 48, 2))
    export(model, Contract(image=TILE, classes=("a", "b", "c")), str(tmp_path / "model"))
    expected = tf.nn.softmax(model(tiles))
    assert len(np.unique(expected, axis=0)) == 3
    pixels = tf.saved_model.load(str(tmp_path / "model")).signatures["serving_pixels"]
    served = pixels(tf.constant(tiles, TILE.pixel_type))["probabilities"]
    np.testing.assert_allclose(served, expected, atol=1e-6)


def test_weights_are_loaded_and_keep_their_statistics(tmp_path):
    network = normalised(PHOTO.shape)
    network.set_weights([np.full_like(each, 0.25) for each in network.get_weights()])
    network.save_weights(tmp_path / "own.weights.h5")
    model = custom(here("normalised"), weights=str(tmp_path / "own.weights.h5"))
    body = custom_body(model, PHOTO, None, pooled=True)
    assert all((each == 0.25).all() for each in body.get_weights())
    assert (model.pretrained, model.frozen) == (True, False)
    assert len(body.trainable_weights) == 2  # the convolution's
    before = body.get_weights()
    body(np.zeros((4, *PHOTO.shape), np.uint8), training=True)
    np.testing.assert_array_equal(before[2], body.get_weights()[2])
    other = custom(SEPARABLE, weights=str(tmp_path / "own.weights.h5"))
    with pytest.raises(ConfigError, match=r"^train.model.weights: .*own.weights.h5 does not fit"):
        custom_body(other, PHOTO, None, pooled=True)


def test_a_changed_package_or_weights_file_is_another_training(tmp_path):
    weights = tmp_path / "own.weights.h5"
    weights.write_bytes(b"one")
    config = TrainConfig(model=custom(weights=str(weights)))
    facts = config.facts()
    assert facts["code"]["train.model.build"].startswith(f"{SEPARABLE} ")
    assert TrainConfig(model=custom(weights=str(weights))).facts() == config.facts()
    weights.write_bytes(b"two")
    assert config.facts() != facts


@pytest.mark.slow
def test_it_is_trained_and_served_without_its_package(pattern, image_spec, tmp_path):
    config = TrainConfig(
        model=custom("separable_of_tests:build", augment=False, dropout=0),
        batch_size=8,
        epochs=8,
        learning_rate=0.03,
    )
    package = tmp_path / "separable_of_tests.py"
    package.write_text("from skymill_example.models import separable as build")
    given = {"train": config.model_dump_json(), "image": image_spec.model_dump_json()}
    with pytest.MonkeyPatch.context() as patched:
        patched.syspath_prepend(tmp_path)
        run_fn(fn_args(tmp_path, pattern, given))
    package.unlink()
    assert accuracy(tmp_path / "model", pattern) == 1.0
    assert set(tf.saved_model.load(str(tmp_path / "model")).signatures)
