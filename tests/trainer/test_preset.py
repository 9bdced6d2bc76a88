"""KerasHub presets, held against KerasHub's own forward pass on the same pixels."""

import json
import shutil
from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf

from components.raster.errors import ConfigError
from components.raster.image import ImageSpec
from components.raster.payload import encode_payload
from tests.serving.graphs import KNOWN_OPS, ops_of
from tests.trainer.objectives import of_classes
from tests.trainer.presets import FAMILIES, MEAN, SIDE_PX, STDDEV, copy_preset, write_preset
from trainer.data.bands import BandScale
from trainer.models.depth import blocks_of, train_top
from trainer.models.preset import preset_names, require_preset
from trainer.tasks.config import SegmentationOptions
from trainer.tasks.network import build_network
from trainer.tasks.segmentation import Segmentation
from trainer.training.config import Preset, Stage, TrainConfig
from trainer.training.export import export
from trainer.training.stages import blocks_to_train

SPEC = ImageSpec(height_px=SIDE_PX, width_px=SIDE_PX)
BANDS = ("red", "nir", "green", "blue")
#: For MobileNet of bands, TensorFlow 2.21 with oneDNN aborts, as docs/training.md says.
COLOURS_ALONE = ("mobilenet", "resnet")
SLOW = ("vit", "dinov2", "mobilenet", "mit", "efficientnet")


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in FAMILIES
    ],
)
def saved(request, tmp_path_factory):
    """A family's name, its network as KerasHub made it, and the configuration that names it."""
    folder = tmp_path_factory.mktemp(request.param) / "preset"
    network = write_preset(request.param, folder)
    return request.param, network, Preset(preset=str(folder))


def pixels(count=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, *SPEC.shape)).astype(np.uint8)


def hub_scaled(images):
    return ((images / 255 - MEAN) / STDDEV).astype(np.float32)


def hub_features(family, network, images):
    """Returns KerasHub's own features of images, one vector each."""
    answers = np.asarray(network(keras.ops.convert_to_tensor(hub_scaled(images)), training=False))
    if answers.ndim == 4:
        return answers.mean(axis=(1, 2))
    return answers[:, 0] if family in ("vit", "dinov2") else answers.mean(axis=1)


def body(model, image=SPEC, scale=None, objective=None):
    return build_network(model, image, objective or of_classes(2), scale).body


def close(found, expected, atol=1e-4):
    scale = np.abs(expected).max()
    assert scale > 0
    np.testing.assert_allclose(np.asarray(found) / scale, expected / scale, atol=atol)


@pytest.mark.filterwarnings("ignore:The structure of `inputs`")
def test_features_and_weights_are_those_of_kerashub(saved):
    family, network, model = saved
    ours = body(model)
    for mine, theirs in zip(
        sorted(ours.get_weights(), key=lambda it: (it.shape, it.sum())),
        sorted(network.get_weights(), key=lambda it: (it.shape, it.sum())),
        strict=True,
    ):
        assert np.array_equal(mine, theirs)
    close(ours(pixels(), training=False), hub_features(family, network, pixels()))


@pytest.mark.filterwarnings("ignore:The structure of `inputs`")
def test_bands_of_red_green_and_blue_alone_give_the_same_and_gray_bands_what_gray_gives(saved):
    family, network, model = saved
    order = [2, 0, 1]
    mean, stddev = (np.array(part)[order] * 255 for part in (MEAN, STDDEV))
    of_colours = body(
        model,
        SPEC.model_copy(update={"bands": ("Blue", "red", "green")}),
        BandScale(tuple(mean), tuple(stddev)),
    )
    found = of_colours(pixels()[..., order].astype(np.float32), training=False)
    close(found, hub_features(family, network, pixels()))
    pattern = np.random.default_rng(1).normal(0, 0.5, (2, SIDE_PX, SIDE_PX, 1))
    gray = (pattern * STDDEV + MEAN) * 255
    units = np.array([1000.0, 300.0, 0.2, 5.0]), np.array([100.0, 10.0, 0.1, 1.0])
    of_four = body(
        model,
        SPEC.model_copy(update={"bands": BANDS}),
        BandScale(tuple(units[0]), tuple(units[1])),
    )
    found = of_four((pattern * units[1] + units[0]).astype(np.float32), training=False)
    close(found, hub_features(family, network, gray), atol=1e-3)


def test_what_is_served_is_what_was_trained_with_ops_that_stock_servers_have(saved, tmp_path):
    """A class for each pixel, over the maps of the network."""
    family, network, model = saved
    bands = None if family in COLOURS_ALONE else BANDS
    image = SPEC.model_copy(update={"bands": bands})
    scale = BandScale((100.0,) * 4, (50.0,) * 4) if bands else None
    objective = Segmentation(("land", "water"), SegmentationOptions())
    ours = build_network(model, image, objective, scale)
    maps = ours.body.output if isinstance(ours.body.output, list) else [ours.body.output]
    for each in getattr(network, "pyramid_outputs", {}).values():
        if len(each.shape) == 4:
            assert each.shape[-1] in [one.shape[-1] for one in maps]
    seen = np.random.default_rng(0).integers(0, 256, (2, *image.shape))
    batch = seen.astype(np.uint16 if bands else np.uint8)
    logits = ours.trained()(batch.astype(image.pixel_type), training=False)
    assert logits.shape == (2, SIDE_PX, SIDE_PX, 2)
    encode = (
        partial(encode_payload, bands=bands) if bands else lambda it: tf.io.encode_png(it).numpy()
    )
    export(ours.served(), objective.contract(image), str(tmp_path / "model"))
    loaded = tf.saved_model.load(str(tmp_path / "model"))
    answers = loaded.signatures["serving_default"](tf.constant([encode(it) for it in batch]))
    expected = keras.ops.softmax(logits).numpy().max(axis=-1)
    np.testing.assert_allclose(answers["confidence"], expected, atol=1e-4)
    assert np.array_equal(answers["class_raster"], np.argmax(logits, axis=-1))
    assert not ops_of(tmp_path / "model") - KNOWN_OPS


def after_a_step(model, stage):
    """Returns the numeric variables of a body that a step of a stage changes."""
    keras.utils.set_random_seed(1)
    network = build_network(model, SPEC, of_classes(3))
    train_top(network.body, blocks_to_train(stage, network.body), keep_norms=True)
    trained = network.trained()
    before = {each.path: each.numpy() for each in network.body.weights}
    # One step of a whole network takes less time than the trace of its graph.
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    trained.compile("adam", loss, run_eagerly=True)
    trained.train_on_batch(pixels(), np.array([0, 1, 2]))
    return {
        each.path
        for each in network.body.weights
        if not np.array_equal(before[each.path], each.numpy())
    }, network.body


def test_stages_learn_from_the_top_and_keep_what_normalises(saved):
    _, _, model = saved
    all_changed, whole = after_a_step(model, Stage(train="all", epochs=1))
    assert not [path for path in all_changed if "moving" in path]
    blocks = blocks_of(whole)
    assert len(blocks) > 3
    covered = {id(each) for block in blocks for layer in block.layers for each in layer.weights}
    assert covered == {id(each) for each in whole.weights}
    top_changed, _ = after_a_step(model, Stage(train="top", blocks=1, epochs=1))
    assert top_changed
    assert len(top_changed) < len(all_changed) / 2
    assert not after_a_step(model, Stage(train="head", epochs=1))[0]


def test_a_transformer_s_blocks_are_told_apart(tmp_path):
    copy_preset("vit", tmp_path)
    names = [block.name for block in blocks_of(body(Preset(preset=str(tmp_path))))]
    assert names == [
        "vit_patching_and_embedding",
        "transformer_block_1",
        "transformer_block_2",
        "transformer_block_3",
    ]


def test_without_weights_the_network_starts_afresh(tmp_path):
    network = write_preset("resnet", tmp_path)
    (tmp_path / "model.weights.h5").unlink()
    fresh = body(Preset(preset=str(tmp_path), weights=False))
    shape = network.weights[0].shape
    kernel = next(each for each in fresh.weights if each.shape == shape)
    assert not np.allclose(kernel, network.weights[0])


def test_a_training_is_named_by_the_content_of_its_preset(tmp_path):
    copy_preset("resnet", tmp_path / "one")
    shutil.copytree(tmp_path / "one", tmp_path / "other")
    config = TrainConfig(model=Preset(preset=str(tmp_path / "one")))
    facts = config.facts()
    moved = TrainConfig(model=Preset(preset=str(tmp_path / "other")))
    assert moved.facts() == facts
    converter = tmp_path / "one" / "image_converter.json"
    converter.write_text(converter.read_text().replace("224", "225"))
    assert config.facts() != facts


def test_a_folder_is_found_from_the_configuration_s_and_names_stay():
    def preset_of(text):
        tree = {"model": {"kind": "preset", "preset": text}}
        config = TrainConfig.model_validate(tree, context={"base_dir": "/project"})
        return config.model.preset

    assert preset_of("./mine") == "/project/mine"
    assert preset_of("resnet_18_imagenet") == "resnet_18_imagenet"
    assert preset_of("hf://who/what") == "hf://who/what"


def test_a_name_that_kerashub_does_not_know_is_reported_with_near_ones():
    assert {"resnet_18_imagenet", "vit_base_patch16_224_imagenet"} <= set(preset_names())
    assert "bert_base_en" not in preset_names()
    with pytest.raises(ConfigError, match=r"'resnet18_imagenet'.*Similar names: resnet_18_im"):
        require_preset("resnet18_imagenet")


def test_a_folder_that_holds_no_preset_is_reported(tmp_path):
    with pytest.raises(ConfigError, match=r"lacks config.json and image_converter.json"):
        body(Preset(preset=str(tmp_path)))
    copy_preset("resnet", tmp_path)
    (tmp_path / "image_converter.json").unlink()
    with pytest.raises(ConfigError, match="lacks image_converter.json"):
        body(Preset(preset=str(tmp_path)))


def test_weights_of_another_size_are_reported(tmp_path):
    copy_preset("vit", tmp_path)
    larger = ImageSpec(height_px=96, width_px=96)
    with pytest.raises(ConfigError, match=r"are for images of 64 x 64 px.*set image\.height_px"):
        body(Preset(preset=str(tmp_path)), larger)


def test_a_size_that_the_network_refuses_is_reported(tmp_path):
    copy_preset("vit", tmp_path)
    with pytest.raises(ConfigError, match="cannot be built for 50 x 50 px: .*divisible by patch"):
        body(Preset(preset=str(tmp_path)), ImageSpec(height_px=50, width_px=50))


def test_damaged_weights_are_reported(tmp_path):
    copy_preset("resnet", tmp_path)
    (tmp_path / "model.weights.h5").write_bytes(b"not HDF5")
    with pytest.raises(ConfigError, match=r"The preset in .* cannot be read"):
        body(Preset(preset=str(tmp_path)))


@pytest.mark.parametrize(
    "activation",
    [
        {"class_name": "__lambda__", "config": {"value": ["gASVAAAA", None, None]}},
        {"class_name": "function", "config": "system", "module": "os", "registered_name": "system"},
    ],
)
def test_a_preset_brings_no_code(tmp_path, activation):
    copy_preset("efficientnet", tmp_path)
    path = tmp_path / "config.json"
    config = json.loads(path.read_text())
    config["config"]["activation"] = activation
    path.write_text(json.dumps(config))
    with pytest.raises(ConfigError, match="cannot be read"):
        body(Preset(preset=str(tmp_path)))


def test_a_preset_that_is_no_backbone_is_reported(tmp_path):
    copy_preset("resnet", tmp_path)
    config = {"module": "os", "class_name": "Popen", "config": {}, "registered_name": "Popen"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ConfigError, match="cannot be read"):
        body(Preset(preset=str(tmp_path)))


def test_a_preset_that_cannot_be_fetched_is_reported_with_the_remedy(monkeypatch, tmp_path):
    for variable in ("http_proxy", "https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")  # the discard port: nobody answers
    for variable in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path))
    with pytest.raises(ConfigError, match=r"could not be fetched: .*save_to_preset.*set model\."):
        body(Preset(preset="resnet_18_imagenet"))
