"""Where images of any shape come to lie in the model's, in a graph."""

import tensorflow as tf

from components.raster.image import ImageSpec


def placed(sizes_px: tf.Tensor, spec: ImageSpec) -> tuple[tf.Tensor, tf.Tensor]:
    """With the arithmetic of `components.raster.fitting.place`, for many images at once.

    Args:
        sizes_px: float32 [N, 2]: height and width of each image as it came.

    Returns: float32 [N, 2] to which each is resized, and [N, 2], the row and column of its corner
        in the model's image; below 0 where it is cut.
    """
    frame = tf.constant([spec.height_px, spec.width_px], tf.float32)
    if spec.fit == "pad":
        exact = sizes_px / tf.reduce_max(sizes_px / frame, axis=1, keepdims=True)
        return tf.floor(exact), tf.maximum(tf.floor((frame - exact) / 2), 0.0)
    if spec.fit == "crop":
        exact = tf.round(sizes_px * tf.reduce_max(frame / sizes_px, axis=1, keepdims=True))
        resized = tf.maximum(exact, frame)
        return resized, -tf.floor((resized - frame) / 2)
    return tf.ones_like(sizes_px) * frame, tf.zeros_like(sizes_px)
