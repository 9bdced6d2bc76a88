"""TFRecords of examples as shuffled batches of decoded images.

A source provides endless shuffled epochs for training and one ordered pass for evaluation. The
order of an epoch depends on the seed and the epoch's number alone, so that a resumed training sees
the same batches as one that was never interrupted.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from components.raster.example import ENCODED, HEIGHT, WIDTH
from components.raster.image import ImageSpec
from trainer.data.ahead import ahead, mapped
from trainer.data.examples import keys_at, keys_of, records
from trainer.data.pixels import batch_pixels
from trainer.data.sampling import Balancing, balanced_records
from trainer.data.share import WHOLE, Share
from trainer.data.targets import TargetReader

_READ_BATCH = 64
_GRAPH_SEED = 1
_IMAGE = {
    ENCODED: tf.io.FixedLenFeature([], tf.string),
    HEIGHT: tf.io.FixedLenFeature([], tf.int64, -1),
    WIDTH: tf.io.FixedLenFeature([], tf.int64, -1),
}

#: The batches that Keras fits: (inputs, targets), or (inputs, targets, sample weights); each may be
#: a nest of tensors, all with the same number of rows.
Batch: TypeAlias = tuple[Any, ...]


class ExampleSource(Protocol):
    """Source of inputs and targets, in memory or streamed."""

    @property
    def examples(self) -> int:
        """Number of examples."""

    @property
    def files(self) -> tuple[str, ...]:
        """Files of the examples, in order, with their keys; empty for data made in memory."""

    @property
    def balance(self) -> tuple[int, ...] | None:
        """Counts of the classes if `epochs` balances them, else None."""

    def epochs(
        self, batch_size: int, seed: int, first_epoch: int = 0, skip: int = 0, share: Share = WHOLE
    ) -> tf.data.Dataset:
        """Returns endless batches of `batch_size`; reshuffles every epoch and drops its remainder.

        Args:
            skip: number of batches to leave out, without decoding them.
            share: part of each batch to return.
        """

    def once(self, batch_size: int, multiple_of: int = 1, share: Share = WHOLE) -> tf.data.Dataset:
        """Returns one pass in order; the last batch may be smaller.

        Examples beyond the last multiple of `multiple_of` are omitted.
        """

    def keys(self, batch_size: int, seed: int, step: int) -> tuple[str, ...]:
        """Returns the keys of the examples in the batch of `epochs` after `step` others."""


class InMemory:
    """Arrays in memory, gathered a batch at a time.

    Args:
        *columns: inputs, targets and perhaps sample weights, each a nest of arrays of N rows.
        files: files of the rows, in order, with their keys.
        balance: counts of the classes, to sample them equally often; targets are then
            indices [N] or shares [N, K].
    """

    def __init__(
        self,
        *columns: Any,
        files: tuple[str, ...] = (),
        balance: tuple[int, ...] | None = None,
    ) -> None:
        self._columns: Batch = tf.nest.map_structure(_on_host, columns)
        self.files = files
        self.balance = balance

    @property
    def columns(self) -> Batch:
        """Inputs, targets and perhaps sample weights."""
        return self._columns

    @property
    def examples(self) -> int:
        return len(tf.nest.flatten(self._columns)[0])

    def epochs(
        self, batch_size: int, seed: int, first_epoch: int = 0, skip: int = 0, share: Share = WHOLE
    ) -> tf.data.Dataset:
        rows = self._rows(batch_size, seed, first_epoch).skip(skip)
        return ahead(self._gathered(share.of(rows)))

    def once(self, batch_size: int, multiple_of: int = 1, share: Share = WHOLE) -> tf.data.Dataset:
        rows = tf.data.Dataset.range(_whole(self.examples, multiple_of)).batch(batch_size)
        return ahead(self._gathered(share.of(rows)))

    def keys(self, batch_size: int, seed: int, step: int) -> tuple[str, ...]:
        rows = next(iter(self._rows(batch_size, seed, 0).skip(step))).numpy()
        return keys_at(self.files, rows)

    def _rows(self, batch_size: int, seed: int, first_epoch: int) -> tf.data.Dataset:
        """Returns endless batches of row numbers."""
        steps = self.examples // batch_size

        def one_epoch(epoch: tf.Tensor) -> tf.data.Dataset:
            rows = tf.range(self.examples, dtype=tf.int64)
            order = tf.random.experimental.stateless_shuffle(rows, (seed, epoch))
            if self.balance is not None:
                order = self._balanced(order, self.balance, tf.stack([seed, epoch]))
            shape = (steps, batch_size)
            return tf.data.Dataset.from_tensor_slices(
                tf.reshape(order[: steps * batch_size], shape)
            )

        return _endless(one_epoch, first_epoch)

    def _balanced(self, order: tf.Tensor, counts: tuple[int, ...], seed: tf.Tensor) -> tf.Tensor:
        """Draws as many rows, each class equally often, in a new order."""
        targets = self._columns[1]
        labels = tf.argmax(targets, axis=1) if targets.dtype.is_floating else targets
        balancing = Balancing(counts, seed)
        many, _ = balancing.copies(tf.gather(labels, order), balancing.nothing_before())
        chosen = tf.random.experimental.stateless_shuffle(tf.repeat(order, many), seed)
        # Rounding may make an epoch a few rows too short.
        return tf.tile(chosen, [2])[: self.examples]

    def _gathered(self, rows: tf.data.Dataset) -> tf.data.Dataset:
        columns = self._columns

        def gather(some: tf.Tensor) -> Batch:
            gathered: Batch = tf.nest.map_structure(lambda each: tf.gather(each, some), columns)
            return gathered

        return rows.map(gather)


@dataclass(frozen=True)
class Streamed:
    """TFRecord files, read and decoded anew in every epoch."""

    files: tuple[str, ...]
    examples: int
    image: ImageSpec
    reader: TargetReader
    shuffle_buffer: int
    balance: tuple[int, ...] | None = None

    def epochs(
        self, batch_size: int, seed: int, first_epoch: int = 0, skip: int = 0, share: Share = WHOLE
    ) -> tf.data.Dataset:
        batches = share.of(self._batches(batch_size, seed, first_epoch).skip(skip))
        return self._decoded(batches, share.part(batch_size))

    def once(self, batch_size: int, multiple_of: int = 1, share: Share = WHOLE) -> tf.data.Dataset:
        every = records(tf.data.Dataset.from_tensor_slices(list(self.files)))
        batches = every.take(_whole(self.examples, multiple_of)).batch(batch_size)
        return self._decoded(share.of(batches), share.part(batch_size))

    def keys(self, batch_size: int, seed: int, step: int) -> tuple[str, ...]:
        return keys_of(next(iter(self._batches(batch_size, seed, 0).skip(step))))

    def _batches(self, batch_size: int, seed: int, first_epoch: int) -> tf.data.Dataset:
        """Returns endless batches of serialized examples."""

        def one_epoch(epoch: tf.Tensor) -> tf.data.Dataset:
            files = tf.random.experimental.stateless_shuffle(self.files, (seed, epoch))
            every = records(tf.data.Dataset.from_tensor_slices(files))
            if self.balance is not None:
                every = balanced_records(every, Balancing(self.balance, tf.stack([seed, epoch])))
            # Seeds the graph: with a global seed of 0 TensorFlow accepts no tensor as a seed, and
            # the order must follow from our seed alone.
            tf.compat.v1.set_random_seed(_GRAPH_SEED)
            every = every.shuffle(
                self.shuffle_buffer, seed=seed + epoch, reshuffle_each_iteration=False
            )
            if self.balance is not None:  # rounding may make an epoch a few examples too short
                every = every.repeat(2).take(self.examples)
            return every.batch(batch_size, drop_remainder=True)

        return _endless(one_epoch, first_epoch)

    def _decoded(self, serialized: tf.data.Dataset, batch_size: int) -> tf.data.Dataset:
        def decode(batch: tf.Tensor) -> Batch:
            return decode_batch(batch, self.image, self.reader, batch_size)

        return ahead(mapped(serialized, decode))


def open_source(
    files: tuple[str, ...],
    examples: int,
    image: ImageSpec,
    reader: TargetReader,
    cache_limit_bytes: int | None,
    shuffle_buffer: int,
    balance: tuple[int, ...] | None = None,
) -> ExampleSource:
    """Opens the examples, in memory where images and targets fit, else streamed; None: no limit.

    With `balance`, the counts of the classes, an epoch has each class equally often.
    """
    streamed = Streamed(files, examples, image, reader, shuffle_buffer, balance)
    batches = streamed.once(_READ_BATCH)
    size = examples * sum(map(_row_bytes, tf.nest.flatten(batches.element_spec)))
    if cache_limit_bytes is not None and size > cache_limit_bytes:
        return streamed
    columns = tf.nest.map_structure(lambda spec: _empty(examples, spec), batches.element_spec)
    at = 0
    for batch in batches:
        rows = slice(at, at + len(tf.nest.flatten(batch)[0]))
        for column, part in zip(tf.nest.flatten(columns), tf.nest.flatten(batch), strict=True):
            column[rows] = part
        at = rows.stop
    return InMemory(*columns, files=files, balance=balance)


def decode_batch(
    serialized: tf.Tensor, image: ImageSpec, reader: TargetReader, batch_size: int
) -> Batch:
    """Decodes serialized examples [B] into (pixels [B, H, W, C], the targets of `reader`).

    Args:
        batch_size: upper bound of B.
    """
    parsed = tf.io.parse_example(serialized, {**_IMAGE, **reader.parsing})
    encoded, height, width = (parsed[name] for name in _IMAGE)
    pixels = batch_pixels(encoded, height, width, image, batch_size)
    return pixels, reader.targets(parsed, image)


def _empty(examples: int, spec: tf.TensorSpec) -> npt.NDArray[Any]:
    return np.empty((examples, *spec.shape[1:]), spec.dtype.as_numpy_dtype)


def _row_bytes(spec: tf.TensorSpec) -> int:
    return int(np.prod(spec.shape[1:])) * int(spec.dtype.size)


def _whole(examples: int, multiple_of: int) -> int:
    return examples - examples % multiple_of


def _on_host(values: Any) -> tf.Tensor:
    """Places a tensor in host memory: a data set does not belong in that of a GPU."""
    with tf.device("CPU:0"):
        return tf.convert_to_tensor(values)


def _endless(
    one_epoch: Callable[[tf.Tensor], tf.data.Dataset], first_epoch: int
) -> tf.data.Dataset:
    return tf.data.Dataset.counter(start=first_epoch).flat_map(one_epoch)
