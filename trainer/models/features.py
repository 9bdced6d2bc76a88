"""Features: the outputs of a body and inputs of a head."""

import math
from typing import Any, TypeAlias

import keras

#: Features of a batch: one vector an image [N, D]; or feature maps [N, h, w, D], from fine to
#: coarse, each at half the resolution of the one before it.
Features: TypeAlias = Any

#: Layers whose outputs are not features: they only prepare the next convolution.
_MOST_LOST = 0.35  # of a halving
_PADDINGS = (keras.layers.ZeroPadding2D, keras.layers.Cropping2D)


def pyramid_of(outputs: list[tuple[keras.layers.Layer, Any]], height: int, width: int) -> list[Any]:
    """Returns the deepest feature map at each stride of a network, from fine to coarse.

    Args:
        outputs: layers and their outputs, in the order of the network.
        height: height of the network's input, in pixels.
        width: likewise.
    """
    maps = [
        output
        for layer, output in outputs
        if isinstance(output, keras.KerasTensor)
        and len(output.shape) == 4
        and not isinstance(layer, _PADDINGS)
    ]
    found: dict[int, Any] = {}
    for each in maps:
        if tuple(each.shape[1:3]) == (1, 1) and each is not maps[-1]:
            continue  # pooled over the whole image, to weigh the channels of other maps
        halvings = _halvings(height, each.shape[1])
        if halvings is not None and halvings == _halvings(width, each.shape[2]):
            found[halvings] = each
    return [found[halvings] for halvings in sorted(found) if halvings > 0]


def last_maps(body: keras.Model) -> list[Any]:
    """Returns the last feature map of a body that pools it to a vector; none if it has no maps."""
    for depth in sorted(body._nodes_by_depth):  # from the output on
        for node in body._nodes_by_depth[depth]:
            for output in node.output_tensors:
                if len(output.shape) == 4 and 1 not in output.shape[1:3]:
                    return [output]
    return []


def _halvings(whole: int, part: int) -> int | None:
    """Returns how often a side was halved, rounding up; None if not by a power of two.

    Convolutions without padding also remove some pixels from every side.
    """
    for halvings in range(whole.bit_length() + 1):
        if math.ceil(whole / 2**halvings) == part:
            return halvings
    exact = math.log2(whole / part)
    return round(exact) if abs(exact - round(exact)) < _MOST_LOST else None
