"""Groups of examples that share a split, of whole files."""

import posixpath
from collections.abc import Sequence
from functools import cache

import tensorflow as tf

from components.raster.example import KEY, LATITUDE, LONGITUDE, SCENE
from components.raster.spatial.grouping import GROUPING_FILE, Grouping, grouping_from_json
from trainer.data.examples import parsed

_SPEC = {
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
    grouping = _grouping(posixpath.dirname(posixpath.dirname(files[0])))
    found: list[str | None] = []
    for batch in parsed(files, _SPEC):
        columns = (batch[name].numpy().tolist() for name in (KEY, SCENE, LONGITUDE, LATITUDE))
        found += [
            grouping.of(_text(key), _text(scene) or None, (longitude, latitude))
            for key, scene, longitude, latitude in zip(*columns, strict=True)
        ]
    return tuple(found)


@cache
def _grouping(root: str) -> Grouping:
    path = f"{root}/{GROUPING_FILE}"
    if not tf.io.gfile.exists(path):
        return Grouping()
    with tf.io.gfile.GFile(path) as file:
        return grouping_from_json(file.read(), path)


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")
