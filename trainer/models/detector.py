"""A detector on a body's features: a feature pyramid and two heads shared by all levels.

RetinaNet (Lin et al. 2017, arXiv 1708.02002), with fewer channels and layers: KerasHub's own model
fixes them at sizes that take hours to train on a CPU. Its anchors are KerasHub's.
"""

import math
from collections.abc import Callable
from typing import Any

import keras

from components.raster.errors import ConfigError
from trainer.models.anchors import PER_PLACE, Anchors
from trainer.models.features import Features

#: Initial probability of an object at any place.
_PRIOR = 0.01


def detector(
    features: Features, anchors: Anchors, classes: int, filters: int, depth: int, dropout: float
) -> Any:
    """Returns the box offsets and class logits of each anchor, float32 [N, A, 4 + K].

    Args:
        features: maps [N, h, w, D] from fine to coarse.
        filters: channels of the pyramid and the heads.
        depth: convolutions of each head before its last one.

    Raises:
        ConfigError: the body has no features at the finest level of the anchors.
    """
    pyramid = _pyramid(_by_level(features, anchors), anchors, filters)
    moves = _head(4, filters, depth, 0.0)
    logits = _head(classes, filters, depth, -math.log((1 - _PRIOR) / _PRIOR))
    drop = keras.layers.Dropout(dropout)
    rows = [keras.layers.Concatenate()([moves(level), logits(drop(level))]) for level in pyramid]
    joined = keras.layers.Concatenate(axis=1)(rows) if len(rows) > 1 else rows[0]
    return keras.layers.Activation("linear", dtype="float32", name="detections")(joined)


def _by_level(features: Features, anchors: Anchors) -> dict[int, Any]:
    """Returns the feature maps on the grids of the anchors, by level."""
    found = {
        level: each
        for level in range(anchors.finest, anchors.coarsest + 1)
        for each in features
        if tuple(each.shape[1:3]) == anchors.grid(level)
    }
    if anchors.finest not in found:
        sizes = ", ".join(f"{each.shape[1]} x {each.shape[2]}" for each in features)
        raise ConfigError(
            f"train.task.finest_stride_px is {2**anchors.finest}, for which the network would need "
            f"features of {anchors.grid(anchors.finest)} places; it has {sizes}. Use another "
            "stride or network."
        )
    return found


def _pyramid(levels: dict[int, Any], anchors: Anchors, filters: int) -> list[Any]:
    """Builds maps of equal depth, fine to coarse; missing levels derive from the coarsest map."""
    coarsest = max(levels)
    merged = {level: _convolution(each, filters, 1) for level, each in levels.items()}
    for level in sorted(levels)[-2::-1]:
        above = keras.layers.UpSampling2D(2)(merged[level + 1])
        rows, columns = anchors.grid(level)
        spare = (above.shape[1] - rows, above.shape[2] - columns)
        if any(spare):
            above = keras.layers.Cropping2D(((0, spare[0]), (0, spare[1])))(above)
        merged[level] = keras.layers.Add()([merged[level], above])
    pyramid = {level: _convolution(each, filters, 3) for level, each in merged.items()}
    for level in range(coarsest + 1, anchors.coarsest + 1):
        pyramid[level] = _convolution(pyramid[level - 1], filters, 3, strides=2)
    return [pyramid[level] for level in sorted(pyramid)]


def _convolution(x: Any, filters: int, kernel: int, strides: int = 1) -> Any:
    return keras.layers.Conv2D(
        filters, kernel, strides, padding="same", kernel_initializer="he_normal"
    )(x)


def _head(units: int, filters: int, depth: int, bias: float) -> Callable[[Any], Any]:
    """Builds a head, [N, h, w, D] to [N, h w 9, units], with shared weights for all levels."""
    layers = [
        keras.layers.Conv2D(
            filters, 3, padding="same", activation="relu", kernel_initializer="he_normal"
        )
        for _ in range(depth)
    ]
    last = keras.layers.Conv2D(
        units * PER_PLACE,
        3,
        padding="same",
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
        bias_initializer=keras.initializers.Constant(bias),
    )

    def apply(x: Any) -> Any:
        for layer in (*layers, last, keras.layers.Reshape((-1, units))):
            x = layer(x)
        return x

    return apply
