"""Balanced sampling: which examples come how often in an epoch."""

import tensorflow as tf


def shares(counts: tuple[int, ...]) -> tf.Tensor:
    """How often an example of each class is to come in an epoch of as many examples: float64 [K].

    Classes that have no example take no part.
    """
    seen = tf.constant(counts, tf.float64)
    present = tf.reduce_sum(tf.cast(seen > 0, tf.float64))
    return tf.math.divide_no_nan(tf.reduce_sum(seen) / present, seen)


def copies(
    labels: tf.Tensor, before: tf.Tensor, share: tf.Tensor, offset: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """How often each of some examples comes, given how many of its class came before.

    Along the examples of a class, a step is taken each time that the running sum of its share
    passes an integer (systematic sampling): n examples of share s give s n copies, to within one,
    as evenly as they can.

    Args:
        labels: int64 [N].
        before: int64 [K], examples of each class so far.
        share: float64 [K], as `shares` gives it.
        offset: float64 [K] from 0 to 1: whose turn it is first.

    Returns:
        int32 [N], and `before` with these examples counted.
    """
    hot = tf.one_hot(labels, tf.size(share), dtype=tf.int64)
    place = tf.gather(before, labels) + tf.reduce_sum((tf.cumsum(hot) - 1) * hot, axis=1)
    rate, first = tf.gather(share, labels), tf.gather(offset, labels)
    steps = [tf.floor(tf.cast(place + one, tf.float64) * rate + first) for one in (0, 1)]
    return tf.cast(steps[1] - steps[0], tf.int32), before + tf.reduce_sum(hot, axis=0)
