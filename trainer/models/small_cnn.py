"""A residual network for a few thousand small images."""

from typing import Any

import keras

from components.raster.image import ImageSpec
from trainer.data.bands import BandScale
from trainer.models.blocks import convolution
from trainer.models.config import SmallCnn
from trainer.models.standardise import scaled


def small_cnn_body(
    model: SmallCnn, image: ImageSpec, scale: BandScale | None, pooled: bool
) -> keras.Model:
    """Builds the body: pixels [N, H, W, C] to one vector an image, or to maps, fine to coarse."""
    pixels = keras.Input(image.shape, dtype=image.pixel_type)
    maps = [convolution(scaled(pixels, image, scale), model.filters[0], model.batch_norm)]
    maps.append(keras.layers.MaxPooling2D(2, padding="same")(maps[-1]))
    for filters in model.filters[1:]:
        maps.append(_residual_block(maps[-1], filters, model.batch_norm))
    features = keras.layers.GlobalAveragePooling2D()(maps[-1]) if pooled else maps
    return keras.Model(pixels, features, name="small_cnn")


def _residual_block(x: Any, filters: int, batch_norm: bool) -> Any:
    """Halves the sides: pre-pooled shortcut beside two convolutions (He et al. 2015, type B)."""
    y = convolution(x, filters, batch_norm, strides=2)
    y = convolution(y, filters, batch_norm, activation=None)
    shortcut = keras.layers.AveragePooling2D(2, padding="same")(x)
    shortcut = convolution(shortcut, filters, batch_norm, activation=None, kernel=1)
    return keras.layers.ReLU()(keras.layers.Add()([y, shortcut]))
