"""Balanced sampling: how often each example occurs in an epoch."""

from collections.abc import Sequence

import tensorflow as tf

from components.raster.example import LABEL

_READ_BATCH = 256
_SALT = 0x6A09E667  # separates the offsets from the seed of the order


class Balancing:
    """Copies of each example in one epoch, such that classes are equally frequent.

    An example is copied each time that the running sum of its class's share passes an integer
    (systematic sampling): n examples of share s give s n copies, to within one, as evenly as
    possible. An epoch keeps about its number of examples; the chosen examples of a frequent class
    change from epoch to epoch. Classes without examples are left out.

    Args:
        counts: counts of the K classes.
        seed: int32 or int64 [2], the epoch's seed.
    """

    def __init__(self, counts: Sequence[int], seed: tf.Tensor) -> None:
        seen = tf.constant(counts, tf.float64)
        present = tf.reduce_sum(tf.cast(seen > 0, tf.float64))
        self._share = tf.math.divide_no_nan(tf.reduce_sum(seen) / present, seen)
        own = tf.random.fold_in(seed, _SALT)
        self._offset = tf.random.stateless_uniform(tf.shape(seen), own, dtype=tf.float64)

    def nothing_before(self) -> tf.Tensor:
        """Returns the counts of each class before the first example: int64 [K]."""
        return tf.zeros(tf.shape(self._share), tf.int64)

    def copies(self, labels: tf.Tensor, before: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns how often each of some examples occurs, given the counts of classes before them.

        Args:
            labels: int64 [N].
            before: int64 [K], examples of each class so far.

        Returns:
            int32 [N], and `before` with these examples counted.
        """
        hot = tf.one_hot(labels, tf.size(self._share), dtype=tf.int64)
        place = tf.gather(before, labels) + tf.reduce_sum((tf.cumsum(hot) - 1) * hot, axis=1)
        rate, first = tf.gather(self._share, labels), tf.gather(self._offset, labels)
        steps = [tf.floor(tf.cast(place + one, tf.float64) * rate + first) for one in (0, 1)]
        return tf.cast(steps[1] - steps[0], tf.int32), before + tf.reduce_sum(hot, axis=0)


def balanced_records(records: tf.data.Dataset, balancing: Balancing) -> tf.data.Dataset:
    """Repeats or drops serialized examples of one class each, as a balanced epoch requires."""

    def repeated(before: tf.Tensor, batch: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        spec = {LABEL: tf.io.FixedLenFeature([], tf.int64)}
        many, after = balancing.copies(tf.io.parse_example(batch, spec)[LABEL], before)
        return after, tf.repeat(batch, many)

    return records.batch(_READ_BATCH).scan(balancing.nothing_before(), repeated).unbatch()
