"""The decoder of a U-Net, over the feature maps of any body."""

from typing import Any

import keras

from trainer.models.blocks import convolution, resized
from trainer.models.decoder_config import UNet

_MOST_FOLD = 8


def unet(maps: list[Any], config: UNet, dropout: float) -> Any:
    """Decodes maps, fine to coarse, to [N, h, w, filters] at the finest map's resolution."""
    *finer, x = maps
    x = keras.layers.Dropout(dropout)(x)
    for depth in reversed(range(len(finer))):
        skip = finer[depth]
        x = keras.layers.Concatenate()([resized(x, *skip.shape[1:3]), skip])
        filters = config.filters * min(2**depth, _MOST_FOLD)
        x = convolution(convolution(x, filters), filters)
    return x
