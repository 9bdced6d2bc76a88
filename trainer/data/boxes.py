"""Transformation of objects into the model's image, as a graph: see `components.raster.fitting`."""

import tensorflow as tf

from components.raster.fitting import LEAST_BOX_SHARE
from components.raster.image import ImageSpec
from trainer.data.placement import placed

#: Label of a row without an object.
NO_OBJECT = -1


def objects_in_frame(
    edges: tf.Tensor, labels: tf.Tensor, sizes_px: tf.Tensor, spec: ImageSpec
) -> tf.Tensor:
    """Transforms objects of images of any shape into pixels of the model's image.

    Args:
        edges: float32 [N, M, 4]: top, left, bottom, right in pixels of each original image.
        labels: [N, M], `NO_OBJECT` in rows without an object.
        sizes_px: [N, 2], height and width of each original image.

    Returns: float32 [N, M, 5]: the edges, clipped to the frame, and the label. Objects with less
        than `LEAST_BOX_SHARE` left after clipping are dropped.
    """
    sizes = tf.cast(sizes_px, tf.float32)
    resized, offset = placed(sizes, spec)
    scale = resized / sizes
    moved = edges * tf.tile(scale, (1, 2))[:, tf.newaxis] + tf.tile(offset, (1, 2))[:, tf.newaxis]
    frame = tf.constant([spec.height_px, spec.width_px] * 2, tf.float32)
    cut = tf.clip_by_value(moved, 0.0, frame)
    whole, left = _areas(moved), _areas(cut)
    kept = (labels >= 0) & (left > 0) & (left >= LEAST_BOX_SHARE * whole)
    shown = tf.where(kept[..., tf.newaxis], cut, 0.0)
    named = tf.cast(tf.where(kept, labels, NO_OBJECT), tf.float32)
    return tf.concat([shown, named[..., tf.newaxis]], axis=-1)


def _areas(edges: tf.Tensor) -> tf.Tensor:
    sides = tf.maximum(edges[..., 2:] - edges[..., :2], 0.0)
    return sides[..., 0] * sides[..., 1]
