"""The rows of every batch that a worker gets."""

from collections.abc import Callable
from dataclasses import dataclass

import tensorflow as tf

from trainer.distribution.strategy import cluster_of


@dataclass(frozen=True)
class Share:
    """Part `index` of `count` equal ones of each batch, cut into `pieces`, one for each replica.

    The parts of all indices together form the batch; each row is in one of them.
    """

    index: int = 0
    count: int = 1
    pieces: int = 1

    def of(self, batches: tf.data.Dataset) -> tf.data.Dataset:
        """Cuts vectors [B], of rows or serialized examples, to vectors [B / (count pieces)].

        B must divide by count times pieces. A whole (count 1) is not cut: the strategy itself
        divides it among the devices of one process.
        """
        if self.count == 1:
            return batches
        return batches.flat_map(
            lambda batch: tf.data.Dataset.from_tensor_slices(self._own_rows(batch))
        )

    def part(self, batch_size: int) -> int:
        """Returns the number of rows that `of` returns for a batch of this size."""
        return batch_size // (self.count * self.pieces) if self.count > 1 else batch_size

    def place(self, number: tf.Tensor, batch_size: int) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Returns the origin of the vector that `of` returns at a position, counted from 0.

        Returns: the number of the batch; and int32 [2], the vector's first row there and the number
            of rows of the batch, or None for a whole.
        """
        if self.count == 1:
            return number, None
        piece = tf.cast(number % self.pieces, tf.int32) + self.index * self.pieces
        return number // self.pieces, tf.stack([piece * self.part(batch_size), batch_size])

    def _own_rows(self, batch: tf.Tensor) -> tf.Tensor:
        return tf.reshape(batch, (self.count, self.pieces, -1))[self.index]


#: A process that trains alone gets all rows.
WHOLE = Share()


def distributed(
    strategy: tf.distribute.Strategy, batches: Callable[[Share], tf.data.Dataset]
) -> tf.data.Dataset:
    """Distributes a data set to replicas: each gets a consecutive part of each batch."""
    cluster = cluster_of(strategy)
    if cluster is None:
        whole = batches(WHOLE)
        if _is_single_cpu(strategy):
            return whole
        return strategy.experimental_distribute_dataset(whole)
    workers = len(cluster.workers)
    share = Share(cluster.index, workers, strategy.num_replicas_in_sync // workers)
    # TensorFlow's sharding would give workers different batches instead of parts of one.
    return strategy.distribute_datasets_from_function(lambda _: batches(share))


def _is_single_cpu(strategy: tf.distribute.Strategy) -> bool:
    """Checks whether the strategy is one replica on a CPU, whose memory already has the batches.

    There is nothing to distribute then. The iterators by which TensorFlow fetches batches to
    devices are further data sets, which it tunes (`trainer.data.ahead`).
    """
    if not isinstance(strategy, tf.distribute.OneDeviceStrategy):
        return False
    return "CPU" in strategy.extended.worker_devices[0].upper()
