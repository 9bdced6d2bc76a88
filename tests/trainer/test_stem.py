"""An RGB network changed to bands, held against the network as it was."""

import keras
import numpy as np
import pytest

from components.raster.errors import ConfigError
from components.raster.image import ImageSpec
from tests.trainer.objectives import of_classes
from trainer.data.bands import BandScale
from trainer.models.stem import band_kernels, band_shares, for_bands
from trainer.tasks.network import build_network
from trainer.training.config import Backbone

SIDE_PX = 64
MEAN = (123.675, 116.28, 103.53)  # of ImageNet, as torchvision documents them, times 255
STDDEV = (58.395, 57.12, 57.375)
NETWORKS = [
    ("MobileNetV2", "mobilenet_v2", {"alpha": 0.35}),  # scales to -1 to 1
    # BGR, less a mean; pads before the stem
    pytest.param(("ResNet50", "resnet50", {}), marks=pytest.mark.slow),
    # scales within the network
    pytest.param(("EfficientNetB0", "efficientnet", {}), marks=pytest.mark.slow),
    # scales within the network; begins with a network of its own
    pytest.param(("ConvNeXtTiny", "convnext", {}), marks=pytest.mark.slow),
]


@pytest.fixture(scope="module", params=NETWORKS, ids=lambda one: one[0])
def pretrained(request, tmp_path_factory):
    """A network, its family's scaling, and a backbone configuration with its weights."""
    name, module, arguments = request.param
    keras.utils.set_random_seed(3)
    network = getattr(keras.applications, name)(
        weights=None, include_top=False, input_shape=(SIDE_PX, SIDE_PX, 3), **arguments
    )
    path = tmp_path_factory.mktemp("weights") / "body.weights.h5"
    network.save_weights(path)
    scaling = getattr(keras.applications, module).preprocess_input
    return network, scaling, Backbone(name=name, arguments=arguments, weights=str(path))


def body(model, bands, mean, stddev):
    spec = ImageSpec(height_px=SIDE_PX, width_px=SIDE_PX, bands=bands)
    return build_network(model, spec, of_classes(2), BandScale(mean, stddev)).body


def colours(seed=0):
    return np.random.default_rng(seed).integers(0, 256, (2, SIDE_PX, SIDE_PX, 3)).astype("float32")


def test_red_green_and_blue_alone_give_what_the_rgb_network_gives(pretrained):
    network, scaling, model = pretrained
    expected = network(scaling(colours()), training=False).numpy().mean(axis=(1, 2))
    order = [2, 0, 1]
    adapted = body(
        model,
        ("Blue", "red", "green"),
        tuple(MEAN[colour] for colour in order),
        tuple(STDDEV[colour] for colour in order),
    )
    found = adapted(colours()[..., order], training=False).numpy()
    scale = np.abs(expected).max()
    np.testing.assert_allclose(found / scale, expected / scale, atol=1e-4)


def test_bands_of_one_brightness_give_what_gray_gives(pretrained):
    """Whatever the units: a pattern of deviations from the mean is what a network sees."""
    network, scaling, model = pretrained
    pattern = np.random.default_rng(1).normal(0, 0.5, (2, SIDE_PX, SIDE_PX, 1))
    gray = (pattern * STDDEV + MEAN).astype(np.float32)
    expected = network(scaling(gray), training=False).numpy().mean(axis=(1, 2))
    mean, stddev = (1000.0, 300.0, 0.2, 5.0, 7.0), (100.0, 10.0, 0.1, 1.0, 2.0)
    adapted = body(model, ("red", "nir", "green", "vh", "blue"), mean, stddev)
    found = adapted((pattern * stddev + mean).astype(np.float32), training=False).numpy()
    scale = np.abs(expected).max()
    np.testing.assert_allclose(found / scale, expected / scale, atol=1e-3)


def test_kernels_worked_out_by_hand():
    kernel = np.zeros((1, 1, 3, 1))
    kernel[0, 0, :, 0] = (6, 3, 9)
    shares = band_shares(("nir", "RED"), rgb=("red", "green", "blue"))
    assert np.allclose(shares, [[1 / 3, 1 / 3, 1 / 3], [1, 0, 0]])
    # nir: the mean, 6; red: 6; each times 3 / 2.
    assert np.allclose(band_kernels(kernel, np.eye(3), shares)[0, 0, :, 0], (9, 9))
    # A network that halves red before its stem, and looks at it as its third channel.
    response = np.array([[0, 0, 0.5], [0, 1, 0], [1, 0, 0]])
    assert np.allclose(band_kernels(kernel, response, shares)[0, 0, 1, 0], 1.5 * 4.5)


def test_other_names_can_be_red_green_and_blue():
    shares = band_shares(("B02", "B03", "B04", "B08"), rgb=("B04", "B03", "B02"))
    assert np.allclose(shares[:3], [[0, 0, 1], [0, 1, 0], [1, 0, 0]])


def test_fine_tuning_keeps_the_batch_norm_statistics_of_the_weights(pretrained):
    _, _, model = pretrained
    adapted = body(
        model.model_copy(update={"trainable": "all"}), ("red", "nir"), (0.0, 0.0), (1.0, 1.0)
    )
    assert len(adapted.trainable_weights) > 10
    before = {v.path: v.numpy() for v in adapted.non_trainable_variables if "moving" in v.path}
    adapted(np.random.default_rng(0).normal(0, 1, (4, SIDE_PX, SIDE_PX, 2)), training=True)
    after = {v.path: v.numpy() for v in adapted.non_trainable_variables if "moving" in v.path}
    assert before or model.name == "ConvNeXtTiny"  # which normalises each image by itself
    assert all(np.array_equal(before[path], after[path]) for path in before)


def test_without_weights_the_stem_of_each_band_starts_on_its_own():
    adapted = body(
        Backbone(arguments={"alpha": 0.35}, weights=None), ("a", "b"), (0.0, 0.0), (1.0, 1.0)
    )
    kernel = next(v for v in adapted.variables if v.shape[:3] == (3, 3, 2)).numpy()
    assert not np.allclose(kernel[:, :, 0], kernel[:, :, 1])


def test_a_network_without_a_plain_stem_is_reported():
    pixels = keras.Input((8, 8, 3))
    network = keras.Model(pixels, keras.layers.Dense(2)(pixels))
    with pytest.raises(ConfigError, match="cannot be converted to other bands"):
        for_bands(network, lambda it: it, ("a", "b"), ("red", "green", "blue"), pretrained=False)
