"""Contents of example files beside their images: class names, counts, and numbers to learn."""

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from components.raster.band_scalings import SCALINGS_FILE, described, scalings_from_json
from components.raster.classes import CLASSES_FILE, classes_from_json
from components.raster.errors import DataError
from components.raster.example import KEY, LABEL
from components.raster.scaling import Scaling
from trainer.data.ahead import untuned

_READ_BATCH = 256
_PARALLEL_FILES = 4
#: Examples taken from a file at a time: switching files for each example costs more than parsing.
_BLOCK = 32


def class_names(roots: Sequence[str], may_be_none: bool = False) -> tuple[str, ...]:
    """Returns the class names in label order, as ingest stored them with the examples.

    Args:
        roots: the uris of the Examples artifacts; all must name the same classes.
        may_be_none: whether examples without classes are valid.

    Raises:
        DataError: a file is missing, is not a list of names, or the artifacts disagree.
    """
    found = {root: _read_class_names(root, may_be_none) for root in roots}
    names = next(iter(found.values()))
    for root, others in found.items():
        if others != names:
            raise DataError(
                f"{root} has the classes {', '.join(others)}, but {roots[0]} has "
                f"{', '.join(names)}; train on examples with the same classes."
            )
    return names


def learnt_scalings(files: Sequence[str]) -> dict[str, Scaling] | None:
    """Returns scale and offset of stored numbers by band, as ingest left them; None if unknown.

    Args:
        files: `<uri>/Split-<name>/<file>` of any number of Examples artifacts.

    Returns:
        None if an artifact has none: photographs, scaled values, older ingests.

    Raises:
        DataError: artifacts disagree, or a file is broken.
    """
    folders = {posixpath.dirname(file) for file in files}
    roots = sorted({posixpath.dirname(folder) for folder in folders})
    found = {root: _read_scalings(root) for root in roots}
    known = {root: scalings for root, scalings in found.items() if scalings is not None}
    for root, scalings in known.items():
        first = next(iter(known))
        if scalings != known[first]:
            raise DataError(
                f"the same number means different values in {first} ({described(known[first])}) "
                f"and in {root} ({described(scalings)}). Set image.values: scaled and ingest both "
                "again, or stored to learn from the numbers as they are."
            )
    return next(iter(known.values())) if known and len(known) == len(found) else None


def list_files(patterns: Sequence[str]) -> tuple[str, ...]:
    """Returns the files of the patterns, sorted.

    Raises:
        DataError: no file matches.
    """
    files = sorted({file for pattern in patterns for file in tf.io.gfile.glob(pattern)})
    if not files:
        raise DataError(
            f"No example files match {', '.join(patterns)}; was ingest run with this split?"
        )
    return tuple(files)


def count_labels(files: Sequence[str], classes: int) -> tuple[int, ...]:
    """Counts the examples of each class in one pass that decodes no image.

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


def count_several(
    files: Sequence[str], feature: str, classes: int, at_most: int | None = None
) -> int:
    """Counts examples, each with any number of class indices in a feature.

    Raises:
        DataError: the files are empty, unreadable, hold an index outside 0 to classes - 1, or more
            than `at_most` in one example.
    """
    examples = 0
    for batch in parsed(files, {feature: tf.io.RaggedFeature(tf.int64)}):
        examples += int(batch[feature].nrows())
        most = int(tf.reduce_max(batch[feature].row_lengths()))
        if at_most is not None and most > at_most:
            raise DataError(
                f"An example at {files[0]} and its neighbours has {most} objects, and "
                f"train.task.max_objects is {at_most}: raise it, or cut smaller tiles."
            )
        indices = batch[feature].values.numpy()
        if indices.size and (indices.min() < 0 or indices.max() >= classes):
            raise DataError(
                f"{feature} reach from {indices.min()} to {indices.max()}, but {CLASSES_FILE} "
                f"names {classes} classes; ingest the data again."
            )
    return examples


def count_with(files: Sequence[str], feature: str) -> int:
    """Counts examples, each of which must have one string in a feature.

    Raises:
        DataError: the files are empty, unreadable, or an example lacks the feature.
    """
    spec = {feature: tf.io.FixedLenFeature([], tf.string)}
    return sum(len(batch[feature]) for batch in parsed(files, spec))


@dataclass(frozen=True)
class NumberSpread:
    """Mean and deviation of the numbers of a split."""

    examples: int
    mean: float
    stddev: float

    @property
    def unit(self) -> float:
        """The deviation, or 1 where all numbers are the same."""
        return self.stddev if self.stddev > 0 else 1.0


def spread_of(files: Sequence[str], feature: str) -> NumberSpread:
    """Computes the spread of a feature with one number an example.

    Raises:
        DataError: the files are empty, unreadable, or an example lacks a finite number.
    """
    spec = {feature: tf.io.FixedLenFeature([], tf.float32)}
    numbers = np.concatenate([batch[feature] for batch in scalars(files, spec)], dtype=np.float64)
    wrong = int((~np.isfinite(numbers)).sum())
    if wrong:
        raise DataError(
            f"{wrong} of {len(numbers)} examples at {files[0]} and its neighbours have a {feature} "
            "that is not a finite number; correct the source and ingest the data again."
        )
    return NumberSpread(len(numbers), float(numbers.mean()), float(numbers.std()))


def scalars(
    files: Sequence[str], spec: Mapping[str, tf.io.FixedLenFeature]
) -> Iterator[dict[str, npt.NDArray[np.generic]]]:
    """Yields some features of all examples, a batch at a time; decodes no image.

    Raises:
        DataError: the files are empty, or cannot be read.
    """
    for batch in parsed(files, spec):
        yield {name: tensor.numpy() for name, tensor in batch.items()}


def read_keys(files: Sequence[str]) -> list[str]:
    """Returns the keys of all examples, in the order of the files."""
    spec = {KEY: tf.io.FixedLenFeature([], tf.string, "")}
    return [
        key.decode("utf-8", "backslashreplace")
        for batch in scalars(files, spec)
        for key in batch[KEY]
    ]


def keys_at(files: Sequence[str], rows: Sequence[int]) -> tuple[str, ...]:
    """Returns the keys of the examples at rows, in file order; without files, the row numbers."""
    if not files:
        return tuple(f"example {row}" for row in rows)
    known = read_keys(files)
    return tuple(known[row] for row in rows)


def keys_of(serialized: tf.Tensor) -> tuple[str, ...]:
    """Returns the keys of serialized examples [N]."""
    spec = {KEY: tf.io.FixedLenFeature([], tf.string, "")}
    keys = tf.io.parse_example(serialized, spec)[KEY].numpy()
    return tuple(key.decode("utf-8", "backslashreplace") for key in keys)


def parsed(files: Sequence[str], spec: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yields some features of all examples a batch at a time, parsed by `tf.io.parse_example`.

    Raises:
        DataError: the files are empty, or cannot be read.
    """
    empty = True
    try:
        for batch in records(tf.data.Dataset.from_tensor_slices(list(files))).batch(_READ_BATCH):
            empty = False
            yield tf.io.parse_example(batch, spec)
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


def records(files: tf.data.Dataset) -> tf.data.Dataset:
    """Returns the serialized examples of a dataset of files, in a deterministic order."""
    return untuned(
        files.interleave(
            tf.data.TFRecordDataset,
            cycle_length=_PARALLEL_FILES,
            block_length=_BLOCK,
            num_parallel_calls=_PARALLEL_FILES,
            deterministic=True,
        )
    )


def _read_scalings(root: str) -> dict[str, Scaling] | None:
    try:
        with tf.io.gfile.GFile(f"{root}/{SCALINGS_FILE}") as file:
            return scalings_from_json(file.read())
    except tf.errors.NotFoundError:
        return None


def _read_class_names(root: str, may_be_none: bool) -> tuple[str, ...]:
    path = f"{root.rstrip('/')}/{CLASSES_FILE}"
    try:
        with tf.io.gfile.GFile(path) as file:
            text = file.read()
    except (tf.errors.NotFoundError, ValueError) as error:
        raise DataError(f"{path} cannot be read ({error}); ingest the data again.") from error
    return classes_from_json(text, path, may_be_empty=may_be_none)
