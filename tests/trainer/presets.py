"""Small KerasHub presets in folders, of several families, as their users save them."""

import functools
import shutil
import tempfile
from pathlib import Path

import keras
import keras_hub

SIDE_PX = 64
SHAPE = (SIDE_PX, SIDE_PX, 3)
#: Scaling of pixels of 0 to 255 for KerasHub's ImageNet networks: less the mean, by the deviation.
MEAN, STDDEV = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SCALE = [1 / 255 / each for each in STDDEV]
OFFSET = [-mean / stddev for mean, stddev in zip(MEAN, STDDEV, strict=True)]


def _resnet():
    return keras_hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 16, 24],
        stackwise_num_blocks=[1, 1, 2],
        stackwise_num_strides=[1, 2, 2],
        block_type="basic_block",
    )


def _mobilenet():
    return keras_hub.models.MobileNetBackbone(
        stackwise_expansion=[[24, 24], [32]],
        stackwise_num_blocks=[2, 1],
        stackwise_num_filters=[[16, 16], [24]],
        stackwise_kernel_size=[[3, 3], [5]],
        stackwise_num_strides=[[2, 1], [2]],
        stackwise_se_ratio=[[None, None], [0.25]],
        stackwise_activation=[["relu", "relu"], ["hard_swish"]],
        stackwise_padding=[[1, 1], [2]],
        output_num_filters=32,
        depthwise_filters=16,
        depthwise_stride=2,
        depthwise_residual=False,
        last_layer_filter=32,
    )


def _efficientnet():
    """With the blocks of EfficientNetV2, whose normalisations lie within layers."""
    return keras_hub.models.EfficientNetBackbone(
        stackwise_width_coefficients=[1.0] * 3,
        stackwise_depth_coefficients=[1.0] * 3,
        stackwise_kernel_sizes=[3] * 3,
        stackwise_num_repeats=[1] * 3,
        stackwise_input_filters=[8] * 3,
        stackwise_output_filters=[8, 8, 16],
        stackwise_expansion_ratios=[1, 4, 4],
        stackwise_squeeze_and_excite_ratios=[0, 0.25, 0.25],
        stackwise_strides=[1, 2, 2],
        stackwise_block_types=["fused", "unfused", "v1"],
    )


def _mit():
    return keras_hub.models.MiTBackbone(
        layerwise_depths=[1, 1, 1],
        num_layers=3,
        layerwise_num_heads=[1, 2, 2],
        layerwise_sr_ratios=[4, 2, 1],
        max_drop_path_rate=0.1,
        layerwise_patch_sizes=[7, 3, 3],
        layerwise_strides=[4, 2, 2],
        hidden_dims=[8, 16, 16],
        image_shape=SHAPE,
    )


def _vit():
    return keras_hub.models.ViTBackbone(
        image_shape=SHAPE, patch_size=16, num_layers=3, num_heads=2, hidden_dim=16, mlp_dim=32
    )


def _dinov2():
    return keras_hub.models.DINOV2Backbone(
        patch_size=16,
        num_layers=3,
        hidden_dim=16,
        num_heads=2,
        intermediate_dim=32,
        num_register_tokens=2,
        image_shape=SHAPE,
        position_embedding_shape=(96, 96, 3),
    )


FAMILIES = {
    "resnet": _resnet,
    "mobilenet": _mobilenet,
    "efficientnet": _efficientnet,
    "mit": _mit,
    "vit": _vit,
    "dinov2": _dinov2,
}


def write_preset(family: str, folder: Path) -> keras.Model:
    """Saves a network with weights like learnt ones, all of which differ from fresh ones.

    Returns:
        The network that KerasHub reads back: DINOv2 makes its position embeddings anew.
    """
    copy_preset(family, folder)
    return keras_hub.models.Backbone.from_preset(str(folder))


def copy_preset(family: str, folder: Path) -> None:
    """Saves the same as `write_preset`, without the time to read it back."""
    shutil.copytree(_saved(family).name, folder, dirs_exist_ok=True)


@functools.cache
def _saved(family: str) -> tempfile.TemporaryDirectory[str]:
    """Makes a preset once for all tests of this process, and removes it at the end."""
    folder = tempfile.TemporaryDirectory(prefix=f"{family}-")
    keras.utils.set_random_seed(11)
    network = FAMILIES[family]()
    for number, variable in enumerate(network.weights):
        noise = keras.random.uniform(variable.shape, -0.1, 0.1, seed=number)
        variable.assign(
            keras.ops.abs(variable + noise) if "variance" in variable.path else variable + noise
        )
    network.save_to_preset(folder.name)
    converter_of = {
        "resnet": keras_hub.layers.ResNetImageConverter,
        "mobilenet": keras_hub.layers.MobileNetImageConverter,
        "efficientnet": keras_hub.layers.EfficientNetImageConverter,
        "mit": keras_hub.layers.MiTImageConverter,
        "vit": keras_hub.layers.ViTImageConverter,
        "dinov2": keras_hub.layers.DINOV2ImageConverter,
    }[family]
    # The size is that of the preset's own images; ours are resized by our own decoder.
    converter_of(image_size=(224, 224), scale=SCALE, offset=OFFSET).save_to_preset(folder.name)
    return folder
