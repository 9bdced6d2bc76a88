"""The layers of a network that come before its first nonlinear one."""

from typing import Any

import keras

from trainer.models.batch_norm import BatchNormalization
from trainer.models.standardise import Standardise

#: Layers that are affine at inference. A subclass may compute something else.
_AFFINE = {
    keras.layers.Rescaling,
    keras.layers.ZeroPadding2D,
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
    keras.layers.BatchNormalization,
    BatchNormalization,
    Standardise,  # values that are not finite stay so on any line between two images
}


def affine_end(body: keras.Model) -> Any:
    """Returns the tensor of a network up to which every layer is affine at inference.

    All that follows takes the image from this tensor alone. It is the network's input where the
    first layer is not affine, and never one of the outputs.
    """
    end = body.input
    while True:
        users = [
            node
            for nodes in body._nodes_by_depth.values()
            for node in nodes
            if any(tensor is end for tensor in node.input_tensors)
        ]
        if len(users) != 1 or not _is_affine(users[0].operation):
            return end
        [output] = users[0].output_tensors
        if any(output is each for each in keras.tree.flatten(body.output)):
            return end
        end = output


def _is_affine(operation: Any) -> bool:
    activation = getattr(operation, "activation", keras.activations.linear)
    return type(operation) in _AFFINE and activation is keras.activations.linear
