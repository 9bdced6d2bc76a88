"""Class frequencies in the examples of a split."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from components.raster.example import LABEL, LABELS, MASK_ENCODED, OBJECT_LABEL
from components.raster.labels.targets import mask_dtype
from components.raster.task import Task
from trainer.data.examples import parsed

#: The feature that holds the classes of an example, and the unit that is counted.
_SEVERAL = {"single_label": LABEL, "multi_label": LABELS, "detection": OBJECT_LABEL}
_UNITS = {"segmentation": "pixels", "detection": "objects"}


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


def count_classes(task: Task, files: Sequence[str], classes: Sequence[str]) -> ClassCounts:
    """Counts classes in one pass. Segmentation decodes the masks; no image is decoded.

    Raises:
        DataError: the files are empty, or cannot be read.
    """
    counts, examples = np.zeros(len(classes), np.int64), 0
    if task == "segmentation":
        batches = _masks(files, len(classes))
    else:
        batches = _indices(files, _SEVERAL[task])
    for rows, indices in batches:
        examples += rows
        # Indices without truth are outside the range of classes.
        known = indices[(indices >= 0) & (indices < len(classes))]
        counts += np.bincount(known, minlength=len(classes))
    unit = _UNITS.get(task, "images")
    return ClassCounts(tuple(classes), tuple(int(it) for it in counts), examples, unit)


def _indices(files: Sequence[str], feature: str) -> Iterator[tuple[int, Any]]:
    for batch in parsed(files, {feature: tf.io.RaggedFeature(tf.int64)}):
        yield int(batch[feature].nrows()), batch[feature].values.numpy()


def _masks(files: Sequence[str], classes: int) -> Iterator[tuple[int, Any]]:
    # Decoding to more bits than the PNG has would stretch its values.
    dtype = tf.as_dtype(mask_dtype(classes))
    for batch in parsed(files, {MASK_ENCODED: tf.io.FixedLenFeature([], tf.string)}):
        masks = [tf.io.decode_png(one, dtype=dtype) for one in batch[MASK_ENCODED]]
        flat = np.concatenate([mask.numpy().ravel() for mask in masks])
        yield len(masks), flat.astype(np.int64)
