"""Depth of a layer: its block, counted from the output."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import keras

from trainer.models.inner_layers import inner_layers
from trainer.models.norms import fix_norms

#: Layer names of one block in the networks of keras.applications and KerasHub.
_BLOCK = re.compile(
    r"^(?:.*blocks?_?\d+[a-z]?(?=_|/|$)|layers_\d+|expanded_conv(?:_\d+)?(?=_)|conv_(?:dw|pw)_(?P<pair>\d+))"
)


@dataclass(frozen=True, eq=False)
class LayerBlock:
    """Layers that are trained or frozen together."""

    name: str
    layers: tuple[keras.layers.Layer, ...]


def blocks_of(body: keras.Model) -> tuple[LayerBlock, ...]:
    """Returns the blocks of a network from input to output; each layer with weights is in one.

    Layers whose names share a block's name belong together. Any other layer with a kernel begins a
    block, which also contains the layers without a kernel (normalisations) that follow.
    """
    found: list[tuple[str, list[keras.layers.Layer]]] = []
    for layer in _leaves(body):
        name = block_name(layer.name)
        if found and (name == found[-1][0] or (name is None and not _has_kernel(layer))):
            found[-1][1].append(layer)
        else:
            found.append((name or layer.name, [layer]))
    return tuple(LayerBlock(name, tuple(layers)) for name, layers in found)


def block_name(layer_name: str) -> str | None:
    """Returns the part of a layer's name that names its block, or None."""
    match = _BLOCK.match(layer_name)
    if match is None:
        return None
    return f"conv_{match['pair']}" if match["pair"] else match[0]


def train_top(body: keras.Model, blocks: int, keep_norms: bool) -> None:
    """Makes the last blocks of a body trainable, and no others.

    Args:
        blocks: number of blocks; 0 freezes the whole body.
        keep_norms: whether batch normalisation keeps its pretrained state everywhere.
    """
    of_body = blocks_of(body)
    body.trainable = blocks > 0  # also sets all nested layers, so each is set again below
    if blocks <= 0:
        return
    for number, block in enumerate(reversed(of_body)):
        for layer in block.layers:
            layer.trainable = number < blocks
    if keep_norms:
        fix_norms(body)


def rate_factors(
    body: keras.Model, variables: Sequence[keras.Variable], decay: float
) -> tuple[float, ...]:
    """Returns the learning-rate factor of each variable: `decay` to the power of its depth.

    The head has depth 0, the last block of the body 1, the block before it 2.
    """
    depths = {
        id(variable): depth
        for depth, block in enumerate(reversed(blocks_of(body)), start=1)
        for layer in block.layers
        for variable in layer.variables
    }
    return tuple(decay ** depths.get(id(variable), 0) for variable in variables)


def _leaves(layer: keras.layers.Layer) -> Iterator[keras.layers.Layer]:
    """Yields the layers with weights, in order, including those of nested networks and of composite
    layers such as a transformer's encoder.
    """
    inside = layer.layers if isinstance(layer, keras.Model) else inner_layers(layer)
    for inner in inside:
        if isinstance(inner, keras.Model) or _holds_blocks(inner):
            yield from _leaves(inner)
        elif inner.weights:
            yield inner


def _holds_blocks(layer: keras.layers.Layer) -> bool:
    if block_name(layer.name):
        return False
    return any(block_name(inner.name) and inner.weights for inner in inner_layers(layer))


def _has_kernel(layer: keras.layers.Layer) -> bool:
    return any(len(weight.shape) > 1 for weight in layer.weights)
