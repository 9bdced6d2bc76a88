"""Places of tiles, from the features of their examples."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from affine import Affine

from components.raster.example import CRS, GSD_M, HEIGHT, TRANSFORM, WIDTH
from components.raster.scene.grid import Floats, Grid
from pipelines.prediction.table import TilePlace


def places_of(examples: Sequence[bytes]) -> list[TilePlace]:
    """Returns the place of each serialized tf.Example of a tile.

    Longitudes and latitudes follow from the transform: the features of examples hold 32 bits, which
    are metres apart.
    """
    import tensorflow as tf

    nowhere = float("nan")
    spec = {
        HEIGHT: tf.io.FixedLenFeature([], tf.int64),
        WIDTH: tf.io.FixedLenFeature([], tf.int64),
        GSD_M: tf.io.FixedLenFeature([], tf.float32, nowhere),
        CRS: tf.io.FixedLenFeature([], tf.string, ""),
        TRANSFORM: tf.io.FixedLenFeature([], tf.string, ""),
    }
    if not examples:
        return []
    parsed: dict[str, Any] = tf.io.parse_example(examples, spec)
    heights, widths, gsds_m, crs, transforms = (parsed[name].numpy().tolist() for name in spec)
    names = [it.decode() for it in crs]
    lonlat = _centres(np.array([heights, widths]), [_numbers(it) for it in transforms], names)
    return [
        TilePlace(height, width, gsd_m, longitude, latitude, name, transform.decode())
        for height, width, gsd_m, (longitude, latitude), name, transform in zip(
            heights, widths, gsds_m, lonlat.tolist(), names, transforms, strict=True
        )
    ]


def _numbers(transform: bytes) -> list[float]:
    return [float(it) for it in transform.split()] or [math.nan] * 6


def _centres(sides_px: Floats, transforms: Sequence[list[float]], names: Sequence[str]) -> Floats:
    """Returns longitudes and latitudes (N, 2) of tiles' centres; NaN where there are none."""
    rows, cols = sides_px / 2
    a, b, c, d, e, f = np.array(transforms).T
    xs, ys = a * cols + b * rows + c, d * cols + e * rows + f
    found = np.full((len(names), 2), np.nan)
    for name in {*names} - {""}:
        of_name = np.array([it == name for it in names])
        # The coordinates of the CRS are the pixels of a grid of this transform.
        plane = Grid(1, 1, Affine.identity(), name)
        found[of_name] = np.stack(plane.to_lonlat(ys[of_name], xs[of_name]), axis=1)
    found[~np.isfinite(found).all(axis=1)] = np.nan
    return found
