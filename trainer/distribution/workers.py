"""What the workers of one training must agree on before any of them acts."""

import tensorflow as tf

from trainer.distribution.strategy import cluster_of


class Agreement:
    """Lets all workers act at the same step; alone, a process agrees with itself at no cost."""

    def __init__(self, strategy: tf.distribute.Strategy) -> None:
        self.strategy = strategy
        self.cluster = cluster_of(strategy)
        self._sums = tf.function(self._sum)

    @property
    def is_chief(self) -> bool:
        """Whether this process writes what the training leaves behind."""
        return self.cluster is None or self.cluster.is_chief

    def any(self, *wishes: bool) -> tuple[bool, ...]:
        """For each wish, whether some worker has it. Every worker must ask at the same point."""
        if self.cluster is None:
            return wishes
        sums = self._sums(tf.constant(wishes, tf.int32))
        return tuple(bool(total) for total in sums.numpy())

    def wait(self) -> None:
        """Until every worker has come here."""
        self.any(False)

    def _sum(self, wishes: tf.Tensor) -> tf.Tensor:
        def reduce() -> tf.Tensor:
            context = tf.distribute.get_replica_context()
            return context.all_reduce(tf.distribute.ReduceOp.SUM, tf.identity(wishes))

        return self.strategy.experimental_local_results(self.strategy.run(reduce))[0]
