"""The layers that a layer is made of."""

from collections.abc import Iterator

import keras


def inner_layers(
    layer: keras.layers.Layer, recursive: bool = False
) -> Iterator[keras.layers.Layer]:
    """The layers that a layer is made of; Keras lists them publicly for models alone."""
    yield from layer._flatten_layers(recursive=recursive, include_self=False)
