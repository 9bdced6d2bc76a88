"""The statistics of batch normalisation."""

from collections.abc import Iterator

import keras

from trainer.models.inner_layers import inner_layers

#: Of what starts from scratch: an average over some ten steps.
NORM_MOMENTUM = 0.9


def fix_norms(network: keras.Model) -> None:
    """Keeps the statistics of pretrained weights: those of a few small batches would ruin them.

    Calling the network with `training=False` would not do: the training flag of the outer model
    overrides it (Keras 3). Batch norm that is not trainable runs in inference mode in any case.
    """
    for layer in _norms(network):
        layer.trainable = False


def follow_norms(network: keras.Model) -> None:
    """Lets the statistics of a network from scratch follow its weights.

    Networks were published for hundreds of thousands of steps: at a momentum of 0.999 a short
    training ends before what is evaluated knows of what was learnt.
    """
    for layer in _norms(network):
        layer.momentum = min(layer.momentum, NORM_MOMENTUM)


def _norms(network: keras.Model) -> Iterator[keras.layers.BatchNormalization]:
    for layer in inner_layers(network, recursive=True):
        if isinstance(layer, keras.layers.BatchNormalization):
            yield layer
