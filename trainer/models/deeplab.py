"""DeepLab: atrous spatial pyramid pooling and a light decoder, over the maps of any body."""

from typing import Any

import keras

from trainer.models.blocks import convolution, resized
from trainer.models.decoder_config import DeepLab

#: Strides of the two maps that it reads, if the body has them.
_COARSE, _FINE = 16, 4
_FINE_FILTERS = 48  # few, so that the coarse map dominates (Chen et al. 2018, section 4.1)


def deeplab(maps: list[Any], height: int, config: DeepLab, dropout: float) -> Any:
    """Decodes feature maps to [N, h, w, filters] at the fine map's resolution.

    The body keeps its strides, so the rates are dilations on a map at 1/16 of the image's side.

    Args:
        maps: from fine to coarse.
        height: height of the image, in pixels.
    """
    coarse, fine = (_at_stride(maps, height, stride) for stride in (_COARSE, _FINE))
    x = keras.layers.Dropout(dropout)(_pyramid_pooling(coarse, config))
    fine_sides = fine.shape[1:3]
    few = convolution(fine, _FINE_FILTERS, kernel=1)
    x = keras.layers.Concatenate()([resized(x, *fine_sides), few])
    return convolution(convolution(x, config.filters), config.filters)


def _pyramid_pooling(x: Any, config: DeepLab) -> Any:
    height, width = x.shape[1:3]
    whole = keras.layers.GlobalAveragePooling2D(keepdims=True)(x)
    # One value per channel and image: batch statistics of so few would drown the image's own.
    whole = convolution(whole, config.filters, batch_norm=False, kernel=1)
    scales = [convolution(x, config.filters, kernel=1)]
    scales += [convolution(x, config.filters, rate=rate) for rate in config.rates]
    joined = keras.layers.Concatenate()(
        [*scales, keras.layers.UpSampling2D((height, width))(whole)]
    )
    return convolution(joined, config.filters, kernel=1)


def _at_stride(maps: list[Any], height: int, stride: int) -> Any:
    """Returns the coarsest map that is no coarser than the stride, or else the finest map."""
    fitting = [each for each in maps if each.shape[1] * stride >= height]
    return fitting[-1] if fitting else maps[0]
