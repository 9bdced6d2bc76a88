"""Access to the layers inside a layer."""

from collections.abc import Iterator

import keras


def inner_layers(
    layer: keras.layers.Layer, recursive: bool = False
) -> Iterator[keras.layers.Layer]:
    """Yields the layers inside a layer; Keras lists them publicly for models only."""
    yield from layer._flatten_layers(recursive=recursive, include_self=False)
