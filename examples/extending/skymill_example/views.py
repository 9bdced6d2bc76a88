"""Your own random view, which changes the image and its truth."""

import tensorflow as tf

from trainer.augment.batch import Batch, hide, rows_of, sides_of, uniform


def missing_lines(batch: Batch, seed: tf.Tensor, ignore_value: int, share: float = 0.1) -> Batch:
    """Hides random lines of each image, as a scanner with gaps does, and in its mask as well.

    Args:
        ignore_value: the value of mask pixels without truth.
        share: share of the lines that is hidden.
    """
    height, _ = sides_of(batch)
    gone = uniform(seed, rows_of(batch), height) < share
    hidden = tf.broadcast_to(gone[:, :, tf.newaxis], tf.shape(batch["images"])[:3])
    return hide(batch, hidden, ignore_value)
