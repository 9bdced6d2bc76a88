import keras
import pytest

from components.raster.errors import ConfigError
from trainer.models.depth import block_name, blocks_of, rate_factors, train_top
from trainer.training.config import Stage
from trainer.training.stages import blocks_to_train


def network():
    """A stem with its norm, two named blocks, and a last convolution with its norm."""
    pixels = keras.Input((8, 8, 3))
    x = pixels
    for name in ("stem", "block_1_expand", "block_1_project", "block_2_expand", "top"):
        x = keras.layers.Conv2D(2, 1, name=name)(x)
        x = keras.layers.BatchNormalization(name=f"{name}_BN")(x)
    inner = keras.Model(pixels, x, name="inner")
    outer = keras.Input((8, 8, 3))
    return keras.Model(outer, keras.layers.GlobalAveragePooling2D()(inner(outer)))


@pytest.mark.parametrize(
    ("layer", "block"),
    [
        ("block_16_project_BN", "block_16"),  # MobileNetV2
        ("expanded_conv_depthwise", "expanded_conv"),
        ("conv5_block3_2_bn", "conv5_block3"),  # ResNet, DenseNet
        ("block7a_se_expand", "block7a"),  # EfficientNet
        ("convnext_tiny_stage_3_block_2_depthwise_conv", "convnext_tiny_stage_3_block_2"),
        ("block14_sepconv1", "block14"),  # Xception
        ("conv_dw_3", "conv_3"),  # MobileNet
        ("conv_pw_3_bn", "conv_3"),
        ("Conv_1", None),
        ("conv2d_12", None),
        ("stem_conv", None),
    ],
)
def test_a_block_is_found_by_the_names_of_its_layers(layer, block):
    assert block_name(layer) == block


def test_layers_without_a_block_s_name_make_blocks_of_their_own():
    found = {block.name: [layer.name for layer in block.layers] for block in blocks_of(network())}
    assert found == {
        "stem": ["stem", "stem_BN"],
        "block_1": ["block_1_expand", "block_1_expand_BN", "block_1_project", "block_1_project_BN"],
        "block_2": ["block_2_expand", "block_2_expand_BN"],
        "top": ["top", "top_BN"],
    }


def learning(body):
    return {variable.path for variable in body.trainable_variables}


def test_the_top_learns_and_nothing_below_it():
    body = network()
    train_top(body, 2, keep_norms=False)
    names = {path.split("/")[0] for path in learning(body)}
    assert names == {"block_2_expand", "block_2_expand_BN", "top", "top_BN"}
    train_top(body, 2, keep_norms=True)
    assert {path.split("/")[0] for path in learning(body)} == {"block_2_expand", "top"}
    train_top(body, 0, keep_norms=False)
    assert not learning(body)
    train_top(body, 4, keep_norms=False)
    assert len(learning(body)) == 5 * 4


def test_each_block_learns_slower_than_the_one_above_it():
    body = network()
    head = keras.layers.Dense(1)
    head.build((None, 2))
    variables = [head.kernel, *(layer.kernel for layer in body.layers[1].layers[1::2])]
    assert rate_factors(body, variables, 0.5) == (1, 0.5**4, 0.5**3, 0.5**3, 0.5**2, 0.5)


def test_a_share_of_the_blocks_is_rounded_up_and_too_many_are_reported():
    body = network()
    assert blocks_to_train(Stage(train="top", epochs=1, share=0.3), body) == 2
    assert blocks_to_train(Stage(train="all", epochs=1), body) == 4
    assert blocks_to_train(Stage(train="head", epochs=1), body) == 0
    with pytest.raises(ConfigError, match=r"top 9 blocks, but the body has 4: stem, block_1"):
        blocks_to_train(Stage(train="top", epochs=1, blocks=9), body)
