"""Synchronisation of the workers of one training."""

import tensorflow as tf

from trainer.distribution.strategy import cluster_of


class WorkerConsensus:
    """Synchronised decisions among all workers, at no cost to a single process."""

    def __init__(self, strategy: tf.distribute.Strategy) -> None:
        self.strategy = strategy
        self.cluster = cluster_of(strategy)
        self._sums = tf.function(self._sum)

    @property
    def is_chief(self) -> bool:
        """True if this process writes the training's outputs."""
        return self.cluster is None or self.cluster.is_chief

    def any(self, *wishes: bool) -> tuple[bool, ...]:
        """Returns for each wish if any worker has it; all workers must call at the same point."""
        if self.cluster is None:
            return wishes
        sums = self._sums(tf.constant(wishes, tf.int32))
        return tuple(bool(total) for total in sums.numpy())

    def wait(self) -> None:
        """Blocks until every worker has called it."""
        self.any(False)

    def _sum(self, wishes: tf.Tensor) -> tf.Tensor:
        def reduce() -> tf.Tensor:
            context = tf.distribute.get_replica_context()
            return context.all_reduce(tf.distribute.ReduceOp.SUM, tf.identity(wishes))

        return self.strategy.experimental_local_results(self.strategy.run(reduce))[0]
