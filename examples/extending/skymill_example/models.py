"""Your own body."""

import keras


def separable(input_shape: tuple[int, int, int], width: int = 16, stages: int = 3) -> keras.Model:
    """Builds a network of depthwise separable convolutions, with a feature map for each stage."""
    x = pixels = keras.Input(input_shape)
    maps = []
    for stage in range(stages):
        x = keras.layers.SeparableConv2D(width * 2**stage, 3, strides=2, padding="same")(x)
        x = keras.layers.Activation("gelu")(keras.layers.GroupNormalization(4)(x))
        maps.append(x)
    return keras.Model(pixels, maps, name="separable")
