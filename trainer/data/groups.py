"""Groups of examples that share a split, and the units that they make."""

import posixpath
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from components.raster.example import KEY, LATITUDE, LONGITUDE, SCENE
from components.raster.spatial.grouping import GROUPING_FILE, Grouping, grouping_from_json
from trainer.data.examples import parsed

#: Features of an example from which its group follows.
GROUP_SPEC = {
    KEY: tf.io.FixedLenFeature([], tf.string, ""),
    SCENE: tf.io.FixedLenFeature([], tf.string, ""),
    LONGITUDE: tf.io.FixedLenFeature([], tf.float32, float("nan")),
    LATITUDE: tf.io.FixedLenFeature([], tf.float32, float("nan")),
}


def groups_of(files: Sequence[str]) -> tuple[str | None, ...]:
    """Returns the group of each example, in the order of reading; None where drawn alone.

    Raises:
        DataError: the files cannot be read.
    """
    batches = parsed(files, GROUP_SPEC)
    columns = ({name: values.numpy() for name, values in batch.items()} for batch in batches)
    return tuple(group for batch in columns for group in groups_in(batch, files))


def groups_in(
    columns: Mapping[str, npt.NDArray[Any]], files: Sequence[str]
) -> tuple[str | None, ...]:
    """Returns the group of each example by its `GROUP_SPEC` features; None where drawn alone."""
    grouping = read_grouping(posixpath.dirname(posixpath.dirname(files[0])))
    rows = (columns[name].tolist() for name in GROUP_SPEC)
    return tuple(
        grouping.of(_text(key), _text(scene) or None, (longitude, latitude))
        for key, scene, longitude, latitude in zip(*rows, strict=True)
    )


def units_of(groups: Sequence[str | None]) -> npt.NDArray[np.int64]:
    """Returns the number of each example's unit, from 0: its group, or itself if drawn alone."""
    numbers: dict[str | int, int] = {}
    names = (place if group is None else group for place, group in enumerate(groups))
    return np.array([numbers.setdefault(name, len(numbers)) for name in names], np.int64)


@cache
def read_grouping(root: str) -> Grouping:
    """Reads the groups of the examples in a folder; those of other tools have none."""
    path = f"{root}/{GROUPING_FILE}"
    if not tf.io.gfile.exists(path):
        return Grouping()
    with tf.io.gfile.GFile(path) as file:
        return grouping_from_json(file.read(), path)


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")
