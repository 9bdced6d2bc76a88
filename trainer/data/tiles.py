"""Sizes and resolutions of the raster tiles that a model is trained on."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from components.raster.example import GSD_M, HEIGHT, WIDTH
from serving.contract.needs import Range, TrainedTiles
from trainer.data.examples import scalars


def trained_tiles(files: Sequence[str]) -> TrainedTiles:
    """Returns the sizes and ground sample distances of the examples of files; decodes no image.

    Raises:
        DataError: the files are empty, or cannot be read.
    """
    spec = {
        HEIGHT: tf.io.FixedLenFeature([], tf.int64, 1),
        WIDTH: tf.io.FixedLenFeature([], tf.int64, 1),
        GSD_M: tf.io.FixedLenFeature([], tf.float32, np.nan),
    }
    batches = list(scalars(files, spec))
    columns = {name: np.concatenate([batch[name] for batch in batches]) for name in spec}
    placed = columns[GSD_M][np.isfinite(columns[GSD_M])]
    return TrainedTiles(
        _range(columns[HEIGHT]), _range(columns[WIDTH]), _range(placed) if placed.size else None
    )


def _range(values: np.ndarray) -> Range:
    return float(values.min()), float(values.max())
