"""Padding of networks, so that their feature maps align with the image."""

from typing import Any

import keras

from trainer.models.inner_layers import inner_layers


def padded(network: keras.Model) -> keras.Model:
    """Pads every window of the network, so that a map of stride s has ceil(side / s) places.

    Some families (Inception, Xception, NASNet) drop pixels at the edge. Features of a whole image
    do not need them, but maps would cover less and less of the image, and a decoder could not place
    them. Weights stay unchanged.
    """
    if not any(_is_unpadded(layer) for layer in inner_layers(network, recursive=True)):
        return network
    found = keras.models.clone_model(network, clone_function=_padded_twin)
    found.set_weights(network.get_weights())
    return found


def _padded_twin(layer: keras.layers.Layer) -> keras.layers.Layer:
    if isinstance(layer, keras.Sequential):  # the sides of its maps may have changed
        return keras.Sequential([_padded_twin(each) for each in layer.layers], name=layer.name)
    same = {"padding": "same"} if _is_unpadded(layer) else {}
    return type(layer).from_config({**layer.get_config(), **same})


def _is_unpadded(layer: keras.layers.Layer) -> bool:
    """Checks whether a layer drops places at the edge that no layer before it has added."""
    if getattr(layer, "padding", None) != "valid":
        return False
    window: Any = getattr(layer, "kernel_size", None) or getattr(layer, "pool_size", None)
    if window is None or max(window) == 1:
        return False
    before = layer._inbound_nodes[0].parent_nodes
    return not any(isinstance(each.operation, keras.layers.ZeroPadding2D) for each in before)
