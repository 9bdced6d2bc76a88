"""Placement of images of any shape in the model's image, as a graph."""

import tensorflow as tf

from components.raster.image import ImageSpec


def placed(sizes_px: tf.Tensor, spec: ImageSpec) -> tuple[tf.Tensor, tf.Tensor]:
    """Places many images at once, with the arithmetic of `components.raster.fitting.place`.

    Args:
        sizes_px: float32 [N, 2]: height and width of each original image.

    Returns: the resized sizes, float32 [N, 2], and the row and column of each corner in the model's
        image, [N, 2]; below 0 where the image is cropped.
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
