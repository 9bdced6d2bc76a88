"""A source whose batches are transformed on the way to training."""

from dataclasses import dataclass
from typing import Protocol

import tensorflow as tf

from trainer.data.ahead import ahead, mapped
from trainer.data.dataset import Batch, ExampleSource
from trainer.data.share import WHOLE, Share


class BatchTransform(Protocol):
    """Transform from a batch to another one with the same number of rows."""

    def __call__(self, batch: Batch, seed: tf.Tensor, place: tf.Tensor | None = None) -> Batch:
        """Returns the transformed batch.

        Args:
            seed: int32 [2], the seed of the whole batch.
            place: int32 [2] in a part of a batch: the index of its first row, and the number of
                rows of the whole.
        """


@dataclass(frozen=True, eq=False)
class TransformedSource:
    """Another source with each training batch transformed; evaluation batches stay unchanged.

    The seed of a batch consists of the training's seed and the batch's number since the beginning.
    A resumed training therefore needs no saved state, and results do not depend on the number of
    devices or processes that share a batch: each transforms its rows as part of the whole.
    """

    source: ExampleSource
    transform: BatchTransform

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
            return self.transform(batch, own, place)

        numbered = tf.data.Dataset.zip(tf.data.Dataset.counter(), batches)
        return ahead(mapped(numbered, changed))

    def once(self, batch_size: int, multiple_of: int = 1, share: Share = WHOLE) -> tf.data.Dataset:
        return self.source.once(batch_size, multiple_of, share)

    def keys(self, batch_size: int, seed: int, step: int) -> tuple[str, ...]:
        return self.source.keys(batch_size, seed, step)
