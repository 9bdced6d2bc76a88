"""Masks as targets: decoded and brought into the model's shape, as a graph."""

import numpy as np
import tensorflow as tf

from components.raster.image import ImageSpec
from components.raster.labels.targets import ignore_value, mask_dtype
from trainer.data.placement import placed


def target_masks(encoded: tf.Tensor, image: ImageSpec, classes: int) -> tf.Tensor:
    """Decodes PNGs, string [N], to class indices and ignore values [N, H, W], uint8 or int32.

    Each follows its image to the nearest pixel, as `components.raster.fitting.fit_mask` does;
    pixels outside the image get the ignore value.

    Raises:
        tf.errors.InvalidArgumentError: bytes are not a gray PNG, or an index is not a class.
    """
    byte = mask_dtype(classes) is np.uint8
    ignore = ignore_value(classes)

    def one(png: tf.Tensor) -> tf.Tensor:
        # The decoder's dtype must have the bits of the PNG's samples, which it would stretch
        # otherwise.
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
    """Fits a mask, int32 [h, w], to [H, W]."""
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
    """Returns the mask's pixel for each pixel of the frame, int32 [frame_px]; -1 where none."""
    at = tf.range(frame_px, dtype=tf.float32) - offset
    nearest = tf.floor((at + 0.5) * (size / resized))
    inside = (at >= 0) & (at < resized)
    return tf.cast(tf.where(inside, tf.minimum(nearest, size - 1), -1), tf.int32)
