import urllib.request

import keras
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
from trainer.data.transformed import TransformedSource
from trainer.models.backbone import backbone_names
from trainer.tasks.network import build_network
from trainer.training.config import Backbone, SmallCnn

SPEC = ImageSpec(height_px=32, width_px=32)
SCRATCH = Backbone(name="MobileNetV2", arguments={"alpha": 0.35}, weights=None)
#: Quicker to build, for tests in which it learns nothing: fresh, it hardly passes a signal on.
FEW_LAYERS = Backbone(name="MobileNet", arguments={"alpha": 0.25}, weights=None)


def pixels(count=4, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, *SPEC.shape)).astype(np.uint8)


def build(model, classes=3):
    keras.utils.set_random_seed(1)
    return build_network(model, SPEC, of_classes(classes))


def test_a_model_goes_from_pixels_to_one_logit_a_class():
    served = build(SmallCnn(filters=(4, 8))).served()
    assert served.input.dtype == "uint8"
    assert served(pixels()).shape == (4, 3)


@pytest.mark.parametrize(("height_px", "width_px"), [(33, 50), (8, 8)])
def test_any_shape_will_do_for_the_small_cnn(height_px, width_px):
    spec = ImageSpec(height_px=height_px, width_px=width_px)
    trained = build_network(SmallCnn(), spec, of_classes(2)).trained()
    batch = np.zeros((2, *spec.shape), np.uint8)
    assert trained(batch, training=True).shape == (2, 2)


def test_augmentation_is_in_training_only_and_absent_from_what_is_served():
    classifier = build(SmallCnn(filters=(4, 8), dropout=0, batch_norm=False))
    served, trained = classifier.served(), classifier.trained()
    names = {type(layer).__name__ for layer in served.layers}
    assert not any(name.startswith("Random") for name in names)
    expected = served(pixels()).numpy()
    np.testing.assert_allclose(trained(pixels(), training=False), expected, atol=1e-6)
    views = following(Augmentation(Augment()), of_classes(3))
    shown = TransformedSource(InMemory(pixels(), np.zeros(4, np.int64)), views)
    (seen, _), *_ = shown.epochs(4, 0).take(1)
    assert not np.allclose(trained(seen, training=True), expected, atol=1e-4)
    (plain, _), *_ = shown.once(4)
    np.testing.assert_allclose(trained(plain), expected, atol=1e-6)


def test_what_is_trained_is_what_is_served():
    classifier = build(SmallCnn(filters=(4,)))
    trained, served = classifier.trained(), classifier.served()
    trained.set_weights([np.full_like(weight, 0.5) for weight in trained.get_weights()])
    assert all((weight == 0.5).all() for weight in served.get_weights())


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("MobileNetV2", {"alpha": 0.35}), ("ResNet50", {}), ("EfficientNetB0", {})],
)
def test_a_backbone_scales_pixels_as_its_family_does(name, arguments):
    model = Backbone(name=name, arguments=arguments, weights=None)
    body = build(model).body
    network = next(layer for layer in body.layers if isinstance(layer, keras.Model))
    family = {
        "MobileNetV2": keras.applications.mobilenet_v2,
        "ResNet50": keras.applications.resnet50,
        "EfficientNetB0": keras.applications.efficientnet,
    }[name]
    scaled = family.preprocess_input(pixels().astype(np.float32))
    expected = network(scaled, training=False).numpy().mean(axis=(1, 2))
    np.testing.assert_allclose(body(pixels(), training=False), expected, atol=1e-5, rtol=1e-4)


def test_families_that_scale_within_the_network_are_left_alone():
    model = Backbone(name="MobileNetV3Small", weights=None)
    body = build(model).body
    network = next(layer for layer in body.layers if isinstance(layer, keras.Model))
    assert any(isinstance(layer, keras.layers.Rescaling) for layer in network.layers)
    expected = network(pixels().astype(np.float32), training=False).numpy().mean(axis=(1, 2))
    np.testing.assert_allclose(body(pixels(), training=False), expected, atol=1e-5, rtol=1e-4)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file with weights for `FEW_LAYERS`, as a pretrained network would have."""
    path = tmp_path_factory.mktemp("weights") / "body.weights.h5"
    network = keras.applications.MobileNet(
        alpha=0.25, include_top=False, weights=None, input_shape=SPEC.shape
    )
    for variable in network.variables:
        if variable.path.endswith("gamma"):
            variable.assign(variable * 4)  # fresh, it would hardly pass a signal on
    network.save_weights(path)
    return str(path)


def after_a_step(model):
    """The classifier, its trained model, and the body's weights by name before and after a step."""
    classifier = build(model)
    trained = classifier.trained()
    before = {variable.path: variable.numpy() for variable in classifier.body.variables}
    # One step of a whole network takes less time than the trace of its graph.
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    trained.compile("adam", loss, run_eagerly=True)
    trained.train_on_batch(pixels(), np.array([0, 1, 2, 0]))
    after = {variable.path: variable.numpy() for variable in classifier.body.variables}
    changed = {path for path in before if not np.array_equal(before[path], after[path])}
    return trained, changed


def test_a_frozen_body_keeps_weights_and_batch_norm_statistics(weights):
    trained, changed = after_a_step(FEW_LAYERS.model_copy(update={"weights": weights}))
    assert not changed
    assert len(trained.trainable_weights) == 2  # the kernel and bias of the logits


def test_fine_tuning_keeps_the_batch_norm_statistics_of_the_weights(weights):
    update = {"weights": weights, "trainable": "all"}
    _, changed = after_a_step(FEW_LAYERS.model_copy(update=update))
    assert any(path.endswith("kernel") for path in changed)
    assert not [path for path in changed if "moving" in path]


def test_without_weights_a_backbone_learns_its_own_batch_norm_statistics():
    _, changed = after_a_step(FEW_LAYERS.model_copy(update={"trainable": "all"}))
    assert any("moving" in path for path in changed)


def test_without_weights_what_is_evaluated_soon_follows_what_is_learnt():
    body = build(SCRATCH.model_copy(update={"trainable": "all"})).body
    colours = np.random.default_rng(0).integers(0, 200, (16, 1, 1, 3))
    images = (colours + pixels(16) // 5).astype(np.uint8)
    learn = tf.function(lambda: body(images, training=True), autograph=False)
    for _ in range(100):
        learnt = learn()
    # By the network's own momentum of 0.999 the correlation is 0.
    assert np.corrcoef(np.ravel(learnt), np.ravel(body(images)))[0, 1] > 0.9


def test_features_repeat_only_without_augmentation():
    assert build(FEW_LAYERS).repeats_features
    assert not build(FEW_LAYERS.model_copy(update={"augment": True})).repeats_features


def test_an_unknown_backbone_is_reported_with_the_known_ones():
    assert {"MobileNetV2", "ResNet50", "ConvNeXtTiny"} <= set(backbone_names())
    with pytest.raises(ConfigError, match=r"'MobileNet2'.*does not have; it has .*MobileNetV2"):
        build(Backbone(name="MobileNet2"))


def test_a_size_that_the_backbone_refuses_is_reported():
    with pytest.raises(ConfigError, match=r"InceptionV3 cannot be built for 32 x 32 px.*75"):
        build(Backbone(name="InceptionV3", weights=None))


def test_arguments_that_the_backbone_does_not_know_are_reported():
    with pytest.raises(ConfigError, match=r"ResNet50 cannot be built.*alpha"):
        build(Backbone(name="ResNet50", arguments={"alpha": 1.0}, weights=None))


def test_a_missing_weights_file_is_reported():
    with pytest.raises(ConfigError, match=r"no/such\.h5', which is not a file here"):
        build(SCRATCH.model_copy(update={"weights": "no/such.h5"}))


def test_weights_of_another_network_are_reported(tmp_path):
    path = tmp_path / "other.weights.h5"
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).save_weights(path)
    with pytest.raises(ConfigError, match=r"do not fit MobileNet with.*weights without the top"):
        build(FEW_LAYERS.model_copy(update={"weights": str(path)}))


def test_a_file_that_holds_no_weights_is_reported(tmp_path):
    path = tmp_path / "broken.h5"
    path.write_bytes(b"not HDF5")
    with pytest.raises(ConfigError, match="do not fit"):
        build(FEW_LAYERS.model_copy(update={"weights": str(path)}))


@pytest.mark.filterwarnings("ignore:`input_shape` is undefined")
def test_imagenet_weights_without_a_network_are_reported(monkeypatch):
    for variable in ("http_proxy", "https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")  # the discard port: nobody answers
    for variable in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    # urllib keeps the proxies of its first request for the rest of the process.
    monkeypatch.setattr(urllib.request, "_opener", None)
    rare = Backbone(name="MobileNet", arguments={"alpha": 0.25})  # unlikely to be cached
    with pytest.raises(ConfigError, match=r"could not be downloaded: .*set model\.weights"):
        build(rare)


def test_the_weights_from_a_keras_applications_file_fit(shared_data):
    folder = shared_data("models") / "mobilenet_v2_035_224_no_top"
    (path,) = folder.glob("*.h5")
    body = build(SCRATCH.model_copy(update={"weights": str(path)})).body
    assert body(pixels()).shape == (4, 1280)


def test_other_weights_than_the_arguments_say_are_reported(shared_data):
    folder = shared_data("models") / "mobilenet_v2_035_224_no_top"
    (path,) = folder.glob("*.h5")
    with pytest.raises(ConfigError, match="such as alpha"):
        build(Backbone(name="MobileNetV2", arguments={"alpha": 0.5}, weights=str(path)))
