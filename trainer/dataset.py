"""TFRecords of examples as shuffled batches of decoded images.

A source hands out endless shuffled epochs for training and one ordered pass for evaluation. The
order of an epoch depends on the seed and the epoch's number alone, so that a resumed training sees
the same batches as one that was never interrupted.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from components.raster.errors import DataError
from components.raster.example import ENCODED, LABEL
from components.raster.image import ImageSpec
from serving.inputs import model_input

CLASSES_FILE = "classes.json"
_READ_BATCH = 256
_PARALLEL_FILES = 4


class Source(Protocol):
    """Inputs and labels, however they are kept."""

    @property
    def examples(self) -> int:
        """How many there are."""

    def epochs(self, batch_size: int, seed: int, first_epoch: int = 0) -> tf.data.Dataset:
        """Endless (inputs [B, ...], int64 [B]); every epoch reshuffled, its remainder dropped."""

    def once(self, batch_size: int, multiple_of: int = 1) -> tf.data.Dataset:
        """One pass in order, the last batch as small as it comes.

        Examples beyond the last multiple of `multiple_of` are left out.
        """


@dataclass(frozen=True, eq=False)
class InMemory:
    """Arrays, gathered a batch at a time."""

    inputs: tf.Tensor | npt.NDArray[np.generic]
    labels: tf.Tensor | npt.NDArray[np.int64]

    @property
    def examples(self) -> int:
        return len(self.labels)

    def epochs(self, batch_size: int, seed: int, first_epoch: int = 0) -> tf.data.Dataset:
        steps = self.examples // batch_size
        inputs, labels = self._tensors()

        def one_epoch(epoch: tf.Tensor) -> tf.data.Dataset:
            rows = tf.range(self.examples, dtype=tf.int64)
            order = tf.random.experimental.stateless_shuffle(rows, (seed, epoch))
            shape = (steps, batch_size)
            return tf.data.Dataset.from_tensor_slices(
                tf.reshape(order[: steps * batch_size], shape)
            )

        def gather(rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return tf.gather(inputs, rows), tf.gather(labels, rows)

        return _endless(one_epoch, first_epoch).map(gather).prefetch(tf.data.AUTOTUNE)

    def once(self, batch_size: int, multiple_of: int = 1) -> tf.data.Dataset:
        slices = tf.data.Dataset.from_tensor_slices(self._tensors())
        return slices.take(_whole(self.examples, multiple_of)).batch(batch_size).prefetch(1)

    def _tensors(self) -> tuple[tf.Tensor, tf.Tensor]:
        return _on_host(self.inputs), _on_host(self.labels)


@dataclass(frozen=True)
class Streamed:
    """TFRecord files, read and decoded anew in every epoch."""

    files: tuple[str, ...]
    examples: int
    image: ImageSpec
    shuffle_buffer: int

    def epochs(self, batch_size: int, seed: int, first_epoch: int = 0) -> tf.data.Dataset:
        def one_epoch(epoch: tf.Tensor) -> tf.data.Dataset:
            files = tf.random.experimental.stateless_shuffle(self.files, (seed, epoch))
            return (
                _records(tf.data.Dataset.from_tensor_slices(files))
                .shuffle(self.shuffle_buffer, seed=seed + epoch, reshuffle_each_iteration=False)
                .batch(batch_size, drop_remainder=True)
            )

        return self._decoded(_endless(one_epoch, first_epoch))

    def once(self, batch_size: int, multiple_of: int = 1) -> tf.data.Dataset:
        records = _records(tf.data.Dataset.from_tensor_slices(list(self.files)))
        return self._decoded(records.take(_whole(self.examples, multiple_of)).batch(batch_size))

    def _decoded(self, serialized: tf.data.Dataset) -> tf.data.Dataset:
        return serialized.map(
            lambda batch: decode_batch(batch, self.image),
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        ).prefetch(tf.data.AUTOTUNE)


def class_names(roots: Sequence[str]) -> tuple[str, ...]:
    """The class names, in the order of their labels, as ingest left them beside the examples.

    Args:
        roots: the uris of the Examples artifacts; all must name the same classes.

    Raises:
        DataError: a file is missing or no list of names, or the artifacts disagree.
    """
    found = {root: _read_class_names(root) for root in roots}
    names = next(iter(found.values()))
    for root, others in found.items():
        if others != names:
            raise DataError(
                f"{root} has the classes {', '.join(others)}, but {roots[0]} has "
                f"{', '.join(names)}; train on examples of one and the same set of classes."
            )
    return names


def list_files(patterns: Sequence[str]) -> tuple[str, ...]:
    """The files of the patterns, sorted.

    Raises:
        DataError: there is none.
    """
    files = sorted({file for pattern in patterns for file in tf.io.gfile.glob(pattern)})
    if not files:
        raise DataError(
            f"No example files match {', '.join(patterns)}; was ingest run with this split?"
        )
    return tuple(files)


def count_labels(files: Sequence[str], classes: int) -> tuple[int, ...]:
    """How many examples each class has, from one pass that decodes no image.

    Raises:
        DataError: the files are empty, unreadable, or hold a label outside 0 to classes - 1.
    """
    counts = np.zeros(classes, np.int64)
    for batch in scalars(files, {LABEL: tf.io.FixedLenFeature([], tf.int64)}):
        labels = batch[LABEL]
        if labels.min() < 0 or labels.max() >= classes:
            raise DataError(
                f"The labels reach from {labels.min()} to {labels.max()}, but {CLASSES_FILE} "
                f"names {classes} classes; ingest the data again."
            )
        counts += np.bincount(labels, minlength=classes)
    return tuple(int(count) for count in counts)


def scalars(
    files: Sequence[str], spec: Mapping[str, tf.io.FixedLenFeature]
) -> Iterator[dict[str, npt.NDArray[np.generic]]]:
    """Some features of all examples, a batch at a time; no image is decoded.

    Raises:
        DataError: the files are empty, or cannot be read.
    """
    empty = True
    try:
        for batch in _records(tf.data.Dataset.from_tensor_slices(list(files))).batch(_READ_BATCH):
            empty = False
            yield {name: it.numpy() for name, it in tf.io.parse_example(batch, spec).items()}
    except (tf.errors.DataLossError, tf.errors.InvalidArgumentError) as error:
        raise DataError(
            f"The examples in {files[0]} and its neighbours cannot be read: {error.message}; "
            "ingest the data again."
        ) from error
    if empty:
        raise DataError(
            f"The {len(files)} example files at {files[0]} hold no example; "
            "give the split a larger share, or more data."
        )


def open_source(
    files: tuple[str, ...],
    examples: int,
    image: ImageSpec,
    cache_limit_bytes: int | None,
    shuffle_buffer: int,
) -> Source:
    """The examples in memory where the decoded images fit, else streamed; None sets no limit."""
    streamed = Streamed(files, examples, image, shuffle_buffer)
    size = examples * int(np.prod(image.shape)) * np.dtype(image.pixel_type).itemsize
    if cache_limit_bytes is not None and size > cache_limit_bytes:
        return streamed
    inputs = np.empty((examples, *image.shape), image.pixel_type)
    labels = np.empty(examples, np.int64)
    at = 0
    for pixels, label in streamed.once(_READ_BATCH):
        inputs[at : at + len(label)], labels[at : at + len(label)] = pixels, label
        at += len(label)
    return InMemory(_on_host(inputs), _on_host(labels))


def decode_batch(serialized: tf.Tensor, image: ImageSpec) -> tuple[tf.Tensor, tf.Tensor]:
    """Serialized examples [B] to (pixels [B, H, W, C], int64 [B])."""
    features = tf.io.parse_example(
        serialized,
        {
            ENCODED: tf.io.FixedLenFeature([], tf.string),
            LABEL: tf.io.FixedLenFeature([], tf.int64),
        },
    )
    return model_input(features[ENCODED], image), features[LABEL]


def _whole(examples: int, multiple_of: int) -> int:
    return examples - examples % multiple_of


def _on_host(values: tf.Tensor | npt.NDArray[np.generic]) -> tf.Tensor:
    """A tensor in the host's memory: a data set does not belong in that of a GPU."""
    with tf.device("CPU:0"):
        return tf.convert_to_tensor(values)


def _endless(
    one_epoch: Callable[[tf.Tensor], tf.data.Dataset], first_epoch: int
) -> tf.data.Dataset:
    return tf.data.Dataset.counter(start=first_epoch).flat_map(one_epoch)


def _records(files: tf.data.Dataset) -> tf.data.Dataset:
    return files.interleave(
        tf.data.TFRecordDataset,
        cycle_length=_PARALLEL_FILES,
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )


def _read_class_names(root: str) -> tuple[str, ...]:
    path = f"{root.rstrip('/')}/{CLASSES_FILE}"
    try:
        with tf.io.gfile.GFile(path) as file:
            names = json.load(file)
    except (tf.errors.NotFoundError, ValueError) as error:
        raise DataError(f"{path} cannot be read ({error}); ingest the data again.") from error
    if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
        raise DataError(f"{path} is not a list of class names; ingest the data again.")
    return tuple(names)
