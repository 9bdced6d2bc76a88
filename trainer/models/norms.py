"""Statistics of batch normalisation."""

from collections.abc import Iterator

import keras

from trainer.models.inner_layers import inner_layers

#: Momentum for networks trained from scratch: an average over some ten steps.
NORM_MOMENTUM = 0.9


def fix_norms(network: keras.Model) -> None:
    """Keeps the statistics of pretrained weights, which a few small batches would ruin.

    Calling the network with `training=False` is not enough: the training flag of the outer model
    overrides it (Keras 3). Batch normalisation that is not trainable always runs in inference mode.
    """
    for layer in _norms(network):
        layer.trainable = False


def follow_norms(network: keras.Model) -> None:
    """Makes the statistics of a network trained from scratch follow its weights quickly.

    The published momentum suits hundreds of thousands of steps: at 0.999 a short training ends
    before the statistics used in evaluation reflect the learnt weights.
    """
    for layer in _norms(network):
        layer.momentum = min(layer.momentum, NORM_MOMENTUM)


def _norms(network: keras.Model) -> Iterator[keras.layers.BatchNormalization]:
    for layer in inner_layers(network, recursive=True):
        if isinstance(layer, keras.layers.BatchNormalization):
            yield layer
