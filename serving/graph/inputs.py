"""Conversion of images to the model's input tensor, for photographs and tiles."""

import tensorflow as tf

from components.raster.band_scalings import BandScalings
from components.raster.image import ImageSpec
from serving.graph.decode import decode_images, fit_image
from serving.graph.decode_tiles import decode_tiles, fit_tile


def model_input(
    encoded: tf.Tensor, spec: ImageSpec, scalings: BandScalings | None = None
) -> tf.Tensor:
    """Decodes and fits a batch: string [N] to the pixels [N, H, W, C] of `spec.pixel_type`.

    Photographs are uint8 RGB. Tiles are float32, stored numbers or scaled values according to
    `spec.values`, with NaN in every band of an invalid pixel: a single tensor that ops can rotate,
    gather and cache.

    `scalings` are the scale and offset of the stored numbers in training, if known.

    Raises:
        tf.errors.InvalidArgumentError: its message begins with a `Refusal`, or is TensorFlow's own
        for a corrupt file.
    """
    if spec.bands is None:
        return decode_images(encoded, spec)
    pixels, valid = decode_tiles(encoded, spec, scalings)
    return tf.where(valid[..., tf.newaxis], pixels, float("nan"))


def fit_pixels(pixels: tf.Tensor, spec: ImageSpec) -> tf.Tensor:
    """Fits a batch of decoded tiles [N, h, w, C] to the model's input [N, H, W, C].

    The result is that of `model_input` for the same tiles, encoded.

    Args:
        pixels: of `spec.pixel_type`; in tiles of rasters NaN marks invalid pixels.
        spec: the model's input.
    """

    def fitted(tile: tf.Tensor) -> tf.Tensor:
        if spec.bands is None:
            return fit_image(tile, spec)
        valid = tf.reduce_all(tf.math.is_finite(tile), axis=-1)
        values, enough = fit_tile(tf.where(valid[..., tf.newaxis], tile, 0.0), valid, spec)
        return tf.where(enough[..., tf.newaxis], values, float("nan"))

    own = pixels.dtype
    same = tf.reduce_all(tf.shape(pixels)[1:3] == (spec.height_px, spec.width_px))
    result = tf.cond(
        same,
        lambda: pixels,
        lambda: tf.map_fn(fitted, pixels, fn_output_signature=tf.TensorSpec(spec.shape, own)),
    )
    return tf.ensure_shape(result, (None, *spec.shape))
