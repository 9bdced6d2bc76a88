"""Class frequencies in the examples of a split."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from components.raster.example import MASK_ENCODED
from components.raster.labels.targets import mask_dtype
from trainer.data.examples import parsed


@dataclass(frozen=True)
class ClassCounts:
    """Frequencies of the classes.

    Attributes:
        classes: names.
        counts: count of each class.
        examples: number of all examples, including those without a class.
        unit: counted unit: images, pixels or objects.
    """

    classes: tuple[str, ...]
    counts: tuple[int, ...]
    examples: int
    unit: str = "images"


def count_indices(
    files: Sequence[str], feature: str, classes: Sequence[str], unit: str = "images"
) -> ClassCounts:
    """Counts the class indices in a feature with any number of them; decodes no image.

    Raises:
        DataError: the files are empty, or cannot be read.
    """
    batches = (
        (int(batch[feature].nrows()), batch[feature].values.numpy())
        for batch in parsed(files, {feature: tf.io.RaggedFeature(tf.int64)})
    )
    return _counted(batches, classes, unit)


def count_pixels(files: Sequence[str], classes: Sequence[str]) -> ClassCounts:
    """Counts the pixels of each class in the masks, which it decodes.

    Raises:
        DataError: the files are empty, or cannot be read.
    """
    return _counted(_masks(files, len(classes)), classes, "pixels")


def _counted(batches: Iterable[tuple[int, Any]], classes: Sequence[str], unit: str) -> ClassCounts:
    counts, examples = np.zeros(len(classes), np.int64), 0
    for rows, indices in batches:
        examples += rows
        # Indices without truth are outside the range of classes.
        known = indices[(indices >= 0) & (indices < len(classes))]
        counts += np.bincount(known, minlength=len(classes))
    return ClassCounts(tuple(classes), tuple(int(it) for it in counts), examples, unit)


def _masks(files: Sequence[str], classes: int) -> Iterator[tuple[int, Any]]:
    # Decoding to more bits than the PNG has would stretch its values.
    dtype = tf.as_dtype(mask_dtype(classes))
    for batch in parsed(files, {MASK_ENCODED: tf.io.FixedLenFeature([], tf.string)}):
        masks = [tf.io.decode_png(one, dtype=dtype) for one in batch[MASK_ENCODED]]
        flat = np.concatenate([mask.numpy().ravel() for mask in masks])
        yield len(masks), flat.astype(np.int64)
