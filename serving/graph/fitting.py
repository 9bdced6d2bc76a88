"""Resampling of an image to the model's shape, in a graph."""

import tensorflow as tf

from components.raster.image import ImageSpec


def resample(image: tf.Tensor, spec: ImageSpec) -> tf.Tensor:
    """Resamples [h, w, C] to float32 [H, W, C] according to `spec.fit`; bilinear, antialiased.

    A batch [N, h, w, C] becomes [N, H, W, C].
    """
    target = (spec.height_px, spec.width_px)
    if spec.fit == "pad":
        return tf.image.resize_with_pad(image, *target, antialias=True)
    if spec.fit == "crop":
        size = tf.cast(tf.shape(image)[-3:-1], tf.float32)
        scaled = tf.maximum(
            tf.cast(tf.round(size * tf.reduce_max(target / size)), tf.int32), target
        )
        return tf.image.resize_with_crop_or_pad(
            tf.image.resize(image, scaled, antialias=True), *target
        )
    return tf.image.resize(image, target, antialias=True)
