"""Layers shared by several networks."""

from typing import Any

import keras

from trainer.models.batch_norm import BatchNormalization
from trainer.models.norms import NORM_MOMENTUM


def convolution(
    x: Any,
    filters: int,
    batch_norm: bool = True,
    *,
    kernel: int = 3,
    strides: int = 1,
    rate: int = 1,
    activation: str | None = "relu",
) -> Any:
    """Applies a convolution and normalisation: [N, h, w, D] to [N, h/strides, w/strides, filters].

    Args:
        rate: dilation of the kernel.
    """
    x = keras.layers.Conv2D(
        filters,
        kernel,
        strides,
        padding="same",
        dilation_rate=rate,
        use_bias=not batch_norm,
        kernel_initializer="he_normal",
    )(x)
    if batch_norm:
        x = BatchNormalization(momentum=NORM_MOMENTUM)(x)
    return keras.layers.Activation(activation)(x) if activation else x


def resized(x: Any, height: int, width: int) -> Any:
    """Resizes [N, h, w, D] to [N, height, width, D], bilinear."""
    if tuple(x.shape[1:3]) == (height, width):
        return x
    return keras.layers.Resizing(height, width, interpolation="bilinear")(x)
