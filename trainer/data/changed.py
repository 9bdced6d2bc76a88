"""A source whose batches are changed on the way to training."""

from dataclasses import dataclass
from typing import Protocol

import tensorflow as tf

from trainer.data.dataset import Batch, Source
from trainer.data.share import WHOLE, Share


class Change(Protocol):
    """From a batch to another one of as many rows."""

    def __call__(self, batch: Batch, seed: tf.Tensor, place: tf.Tensor | None = None) -> Batch:
        """The batch, changed.

        Args:
            seed: int32 [2], of the whole batch.
            place: int32 [2], of a part: the number of its first row, and the rows of the whole.
        """


@dataclass(frozen=True, eq=False)
class Changed:
    """Another source's batches, each changed; what is evaluated stays as it is.

    The seed of a batch is that of the training and the number of the batch since its beginning.
    So nothing need be remembered for a training that is resumed, and it is the same however many
    devices share the batch, of one process or several: each changes its rows as part of the whole.
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
        batches = self.source.epochs(batch_size, seed, first_epoch, skip, share)

        def changed(number: tf.Tensor, batch: Batch) -> Batch:
            step, place = share.place(number, batch_size)
            own = tf.stack([seed, tf.cast((first + step) % 2**31, tf.int32)])
            return self.change(batch, own, place)

        return (
            tf.data.Dataset.zip(tf.data.Dataset.counter(), batches)
            .map(changed, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
            .prefetch(tf.data.AUTOTUNE)
        )

    def once(self, batch_size: int, multiple_of: int = 1, share: Share = WHOLE) -> tf.data.Dataset:
        return self.source.once(batch_size, multiple_of, share)

    def keys(self, batch_size: int, seed: int, step: int) -> tuple[str, ...]:
        return self.source.keys(batch_size, seed, step)
