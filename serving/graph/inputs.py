"""Conversion of encoded images to the model's input tensor, for photographs and tiles."""

import tensorflow as tf

from components.raster.band_scalings import BandScalings
from components.raster.image import ImageSpec
from serving.graph.decode import decode_images
from serving.graph.decode_tiles import decode_tiles


def model_input(
    encoded: tf.Tensor, spec: ImageSpec, scalings: BandScalings | None = None
) -> tf.Tensor:
    """Decodes and fits a batch: string [N] to the pixels [N, H, W, C] of `spec.pixel_type`.

    Photographs are uint8 RGB. Tiles are float32, stored numbers or scaled values according to
    `spec.values`, NaN in every band where a pixel is not valid: a single tensor that ops can
    rotate, gather and cache.

    `scalings` are the scale and offset of the stored numbers in training, if known.

    Raises:
        tf.errors.InvalidArgumentError: its message begins with a `Refusal`, or is TensorFlow's own
        for a corrupt file.
    """
    if spec.bands is None:
        return decode_images(encoded, spec)
    pixels, valid = decode_tiles(encoded, spec, scalings)
    return tf.where(valid[..., tf.newaxis], pixels, float("nan"))
