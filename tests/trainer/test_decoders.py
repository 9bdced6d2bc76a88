"""Class rasters and objects over networks of every kind, from building to the served answer."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from components.raster.image import ImageSpec
from tests.serving.graphs import KNOWN_OPS, ops_of
from trainer.models.decoder_config import DeepLab, UNet
from trainer.models.padded import padded
from trainer.tasks.config import DetectionOptions, SegmentationOptions
from trainer.tasks.detection import Detection
from trainer.tasks.network import build_network
from trainer.tasks.segmentation import Segmentation
from trainer.training.config import Backbone
from trainer.training.export import export

SPEC = ImageSpec(height_px=96, width_px=100)  # of which no stride of 8 and more divides the width
CLASSES = ("land", "water")
NETWORKS = (
    "ConvNeXtTiny",
    "DenseNet121",
    "EfficientNetB0",
    "EfficientNetV2B0",
    "InceptionV3",
    "MobileNetV2",
    "MobileNetV3Small",
    "NASNetMobile",
    "ResNet50",
    "ResNet50V2",
    "VGG16",
    "Xception",
)
KINDS = ("unet", "deeplab", "detection")
#: Of each kind one, whose steps take least; gradients go through the layers of all alike.
TRAINED = ("ResNet50V2", "VGG16", "MobileNetV2")


def objective_of(kind):
    if kind == "detection":
        return Detection(CLASSES, DetectionOptions(filters=16, depth=1, finest_stride_px=4), SPEC)
    decoder = UNet(filters=8) if kind == "unet" else DeepLab(filters=8)
    return Segmentation(CLASSES, SegmentationOptions(decoder=decoder))


def truth_of(kind):
    if kind == "detection":
        boxes = np.full((2, 100, 5), -1, np.float32)
        boxes[:, 0] = (20, 30, 60, 70, 1)
        return boxes
    masks = np.zeros((2, *SPEC.shape[:2]), np.int32)
    masks[:, 20:60, 30:70] = 1
    return masks


# Each network once and each decoder several times: all pairs would take a quarter of an hour.
@pytest.mark.slow
@pytest.mark.parametrize(("name", "kind"), zip(NETWORKS, 4 * KINDS, strict=True))
def test_a_decoder_fits_a_network_and_is_served_as_it_was_trained(name, kind, tmp_path):
    keras.utils.set_random_seed(4)
    objective = objective_of(kind)
    network = build_network(Backbone(name=name, weights=None, trainable="all"), SPEC, objective)
    sides = [each.shape[1:3] for each in network.body.output]
    strides = [2**number for number in range(6 - len(sides), 6)]
    assert sides == [(-(-96 // stride), -(-100 // stride)) for stride in strides]
    pixels = np.random.default_rng(0).integers(0, 256, (2, *SPEC.shape)).astype(np.uint8)
    pixels[:, 20:60, 30:70] //= 4
    if name in TRAINED:
        trained = network.trained()
        # Eager: to trace two steps takes longer than to take them.
        trained.compile(keras.optimizers.SGD(1e-3), objective.loss(), run_eagerly=True)
        losses = [float(trained.train_on_batch(pixels, truth_of(kind))) for _ in range(2)]
        assert np.isfinite(losses).all()
        assert losses[0] != losses[1]
    served = network.served()
    expected = served(pixels, training=False)
    export(served, objective.contract(SPEC), str(tmp_path / "model"))
    loaded = tf.saved_model.load(str(tmp_path / "model"))
    files = tf.constant([tf.io.encode_png(each).numpy() for each in pixels])
    answers = loaded.signatures["serving_default"](files)
    if kind == "detection":
        np.testing.assert_allclose(answers["box_scores"], expected["scores"], atol=1e-4)
        np.testing.assert_array_equal(answers["box_labels"], expected["labels"])
    else:
        assert expected.shape == (2, *SPEC.shape[:2], 2)
        confidence = keras.ops.softmax(expected).numpy().max(axis=-1)
        np.testing.assert_allclose(answers["confidence"], confidence, atol=1e-4)
    assert not ops_of(tmp_path / "model") - KNOWN_OPS


def test_padding_keeps_the_weights_and_leaves_alone_what_is_padded():
    network = keras.applications.Xception(weights=None, include_top=False, input_shape=(96, 96, 3))
    twin = padded(network)
    for mine, theirs in zip(twin.get_weights(), network.get_weights(), strict=True):
        assert np.array_equal(mine, theirs)
    names = [[layer.name for layer in each.layers[1:]] for each in (twin, network)]
    assert names[0] == names[1], "blocks are message by them"
    plain = keras.applications.ResNet50(weights=None, include_top=False, input_shape=(96, 96, 3))
    assert padded(plain) is plain, "what is padded already stays as it is"
