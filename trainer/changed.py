"""A source whose batches are changed on the way to training."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import tensorflow as tf

from trainer.dataset import Batch, Source
from trainer.share import WHOLE, Share

#: From a batch and a seed of its own, int32 [2], to another batch of as many rows.
Change: TypeAlias = Callable[[Batch, tf.Tensor], Batch]


@dataclass(frozen=True, eq=False)
class Changed:
    """Another source's batches, each changed; what is evaluated stays as it is.

    The seed of a batch is that of the training and the number of the batch since its beginning.
    So nothing need be remembered for a training that is resumed, and it is the same however many
    devices of a process share the batch. Parts that go to other processes have seeds of their own.
    """

    source: Source
    change: Change

    @property
    def examples(self) -> int:
        return self.source.examples

    @property
    def files(self) -> tuple[str, ...]:
        return self.source.files

    @property
    def balance(self) -> tuple[int, ...] | None:
        return self.source.balance

    def epochs(
        self, batch_size: int, seed: int, first_epoch: int = 0, skip: int = 0, share: Share = WHOLE
    ) -> tf.data.Dataset:
        first = first_epoch * (self.source.examples // batch_size) + skip
        numbers = tf.data.Dataset.counter(first * share.pieces)
        batches = self.source.epochs(batch_size, seed, first_epoch, skip, share)

        def changed(number: tf.Tensor, batch: Batch) -> Batch:
            own = number * share.count + share.index
            return self.change(batch, tf.stack([seed, tf.cast(own % 2**31, tf.int32)]))

        return (
            tf.data.Dataset.zip(numbers, batches)
            .map(changed, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
            .prefetch(tf.data.AUTOTUNE)
        )

    def once(self, batch_size: int, multiple_of: int = 1, share: Share = WHOLE) -> tf.data.Dataset:
        return self.source.once(batch_size, multiple_of, share)

    def keys(self, batch_size: int, seed: int, step: int) -> tuple[str, ...]:
        return self.source.keys(batch_size, seed, step)
