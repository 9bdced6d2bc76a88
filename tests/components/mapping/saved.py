"""A SavedModel with known weights and the served signatures."""

import tensorflow as tf

from serving.graph.signatures import Reliable
from tests.components.models import save_with_signatures
from trainer.training.reliability import fit_unknown

KERNEL_PX = 5


class Means(tf.Module):
    """Logits of three classes: closeness of the mean of 5 x 5 pixels to their levels."""

    def __init__(self):
        super().__init__()
        side = KERNEL_PX
        self.kernel = tf.Variable(tf.fill((side, side, 1, 1), 1.0 / side**2 / 1000))

    def __call__(self, pixels):
        if pixels.dtype == tf.uint8:  # photographs: by their red
            pixels = tf.cast(pixels[..., :1], tf.float32) * (1000 / 255)
        known = tf.where(tf.math.is_finite(pixels), pixels, 0.0)
        means = tf.nn.conv2d(known, self.kernel, 1, "SAME")
        off = means - [1 / 6, 3 / 6, 5 / 6]
        return -30.0 * tf.maximum(off, -off)

    def embedded(self, pixels):
        """Also returns a tile's roughness: the mean step between valid neighbours on both axes."""
        steps = [pixels[:, 1:] - pixels[:, :-1], pixels[:, :, 1:] - pixels[:, :, :-1]]
        roughness = tf.stack([_mean_size(step) for step in steps], axis=1)
        return self(pixels), {"embedding": roughness}


def _mean_size(steps):
    known = tf.math.is_finite(steps)
    total = tf.reduce_sum(tf.abs(tf.where(known, steps, 0.0)), axis=(1, 2, 3))
    return total / tf.reduce_sum(tf.cast(known, tf.float32), axis=(1, 2, 3))


def save(folder, contract):
    """Exports the network with the served signatures."""
    save_with_signatures(Means(), contract, folder)
    return folder


def save_that_tells_unknown(folder, contract, known):
    """Exports the network with the score of imagery unlike `known`, float32 tiles (N, H, W, 1)."""
    network = Means()
    roughness = network.embedded(tf.constant(known))[1]["embedding"].numpy()
    fitted = fit_unknown(roughness[::2], None, roughness[1::2])
    contract = contract.model_copy(update={"unknown": "overall"})
    save_with_signatures(network, contract, folder, Reliable(network.embedded, fitted))
    return folder
