"""Places of tiles, from the features of their examples."""

from collections.abc import Sequence
from typing import Any

from components.raster.example import CRS, GSD_M, HEIGHT, LATITUDE, LONGITUDE, TRANSFORM, WIDTH
from pipelines.prediction.table import TilePlace


def places_of(examples: Sequence[bytes]) -> list[TilePlace]:
    """Returns the place of each serialized tf.Example of a tile."""
    import tensorflow as tf

    nowhere = float("nan")
    spec = {
        HEIGHT: tf.io.FixedLenFeature([], tf.int64),
        WIDTH: tf.io.FixedLenFeature([], tf.int64),
        GSD_M: tf.io.FixedLenFeature([], tf.float32, nowhere),
        LONGITUDE: tf.io.FixedLenFeature([], tf.float32, nowhere),
        LATITUDE: tf.io.FixedLenFeature([], tf.float32, nowhere),
        CRS: tf.io.FixedLenFeature([], tf.string, ""),
        TRANSFORM: tf.io.FixedLenFeature([], tf.string, ""),
    }
    if not examples:
        return []
    parsed: dict[str, Any] = tf.io.parse_example(examples, spec)
    columns = [parsed[name].numpy().tolist() for name in spec]
    return [
        TilePlace(height, width, gsd_m, longitude, latitude, crs.decode(), transform.decode())
        for height, width, gsd_m, longitude, latitude, crs, transform in zip(*columns, strict=True)
    ]
