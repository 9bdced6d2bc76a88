"""Masks as targets: decoded and brought into the model's shape, in a graph."""

import numpy as np
import tensorflow as tf

from components.raster.image import ImageSpec
from components.raster.labels.targets import ignore_value, mask_dtype
from trainer.tasks.placement import placed


def target_masks(encoded: tf.Tensor, image: ImageSpec, classes: int) -> tf.Tensor:
    """PNGs, string [N], to class indices and ignore values [N, H, W], uint8 or int32.

    Each follows its image to the nearest pixel, as `components.raster.fitting.fit_mask` does; what
    the image does not reach is ignored.

    Raises:
        tf.errors.InvalidArgumentError: bytes that are no gray PNG, or an index that is no class.
    """
    byte = mask_dtype(classes) is np.uint8
    ignore = ignore_value(classes)

    def one(png: tf.Tensor) -> tf.Tensor:
        # The largest value of a dtype is what the samples of a PNG of so many bits can reach.
        mask = tf.io.decode_png(png, channels=1, dtype=tf.uint8 if byte else tf.uint16)[..., 0]
        fitted = _fitted(tf.cast(mask, tf.int32), image, ignore)
        known = tf.where(fitted == ignore, 0, fitted)
        tf.debugging.assert_less(
            known, classes, f"a mask holds a class index beyond the {classes} classes"
        )
        return tf.cast(fitted, tf.uint8) if byte else fitted

    sides = (image.height_px, image.width_px)
    spec = tf.TensorSpec(sides, tf.uint8 if byte else tf.int32)
    return tf.map_fn(one, encoded, fn_output_signature=spec)


def _fitted(mask: tf.Tensor, image: ImageSpec, fill: int) -> tf.Tensor:
    """int32 [h, w] to [H, W]."""
    size = tf.cast(tf.shape(mask), tf.float32)
    sides, offset = (each[0] for each in placed(size[tf.newaxis], image))
    rows, columns = (
        _source_indices(frame_px, size[axis], sides[axis], offset[axis])
        for axis, frame_px in enumerate((image.height_px, image.width_px))
    )
    taken = tf.gather(tf.gather(mask, tf.maximum(rows, 0)), tf.maximum(columns, 0), axis=1)
    inside = (rows >= 0)[:, tf.newaxis] & (columns >= 0)[tf.newaxis]
    return tf.where(inside, taken, fill)


def _source_indices(
    frame_px: int, size: tf.Tensor, resized: tf.Tensor, offset: tf.Tensor
) -> tf.Tensor:
    """int32 [frame_px]: the pixel of the mask for each of the frame; -1 where there is none."""
    at = tf.range(frame_px, dtype=tf.float32) - offset
    nearest = tf.floor((at + 0.5) * (size / resized))
    inside = (at >= 0) & (at < resized)
    return tf.cast(tf.where(inside, tf.minimum(nearest, size - 1), -1), tf.int32)
