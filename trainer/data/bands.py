"""Band statistics of the training split: the scale on which a model sees the bands."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from components.raster.errors import DataError
from components.raster.example import (
    HEIGHT,
    VALID_FRACTION,
    WIDTH,
    mean_of_band,
    stddev_of_band,
)
from trainer.data.examples import scalars


@dataclass(frozen=True)
class BandScale:
    """Mean and standard deviation of each band over all valid pixels, in the tiles' units."""

    mean: tuple[float, ...]
    stddev: tuple[float, ...]


def band_scale(files: Sequence[str], bands: Sequence[str]) -> BandScale:
    """Computes the scale of the bands over the examples of files; decodes no image.

    It is pooled from each example's own mean and deviation, weighted by its valid pixels.

    Raises:
        DataError: no example has statistics of a band, or the files cannot be read.
    """
    spec = {
        **{mean_of_band(band): _scalar(np.nan) for band in bands},
        **{stddev_of_band(band): _scalar(np.nan) for band in bands},
        VALID_FRACTION: _scalar(1.0),
        HEIGHT: tf.io.FixedLenFeature([], tf.int64, 1),
        WIDTH: tf.io.FixedLenFeature([], tf.int64, 1),
    }
    batches = list(scalars(files, spec))
    columns = {
        name: np.concatenate([batch[name] for batch in batches], dtype=np.float64) for name in spec
    }
    valid_px = columns[VALID_FRACTION] * columns[HEIGHT] * columns[WIDTH]
    pooled = [
        _pooled(band, columns[mean_of_band(band)], columns[stddev_of_band(band)], valid_px)
        for band in bands
    ]
    return BandScale(tuple(mean for mean, _ in pooled), tuple(stddev for _, stddev in pooled))


def _scalar(default: float) -> tf.io.FixedLenFeature:
    return tf.io.FixedLenFeature([], tf.float32, default)


def _pooled(
    band: str, means: np.ndarray, stddevs: np.ndarray, weights: np.ndarray
) -> tuple[float, float]:
    """Pools the examples' means and deviations into those of all pixels together."""
    known = np.isfinite(means) & np.isfinite(stddevs) & (weights > 0)
    if not known.any():
        raise DataError(
            f"No example of the train split has {mean_of_band(band)} and {stddev_of_band(band)}: "
            f"is {band} among the bands that were ingested (image.bands)? Ingest the data again."
        )
    shares = weights[known] / weights[known].sum()
    mean = float(shares @ means[known])
    variance = float(shares @ (stddevs[known] ** 2 + (means[known] - mean) ** 2))
    return mean, float(np.sqrt(variance))
