"""How objects follow an image into the model's, in a graph: `components.raster.fitting` there."""

import tensorflow as tf

from components.raster.fitting import LEAST_BOX_SHARE
from components.raster.image import ImageSpec
from trainer.tasks.placement import placed

#: The label of a row that holds no object.
NO_OBJECT = -1


def objects_in_frame(
    edges: tf.Tensor, labels: tf.Tensor, sizes_px: tf.Tensor, spec: ImageSpec
) -> tf.Tensor:
    """Objects of images of any shape in pixels of the model's image.

    Args:
        edges: float32 [N, M, 4]: top, left, bottom, right in pixels of each image as it came.
        labels: [N, M], `NO_OBJECT` where a row holds none.
        sizes_px: [N, 2], height and width of each image as it came.

    Returns: float32 [N, M, 5]: the edges, cut at the frame, and the label. Of an object that the
        frame cuts, `LEAST_BOX_SHARE` must be left.
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
