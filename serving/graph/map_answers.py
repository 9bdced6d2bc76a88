"""Inputs and outputs of a served graph for maps of whole scenes."""

import tensorflow as tf

from components.raster.image import ImageSpec
from serving.graph.decode import fit_image
from serving.graph.decode_tiles import fit_tile
from serving.tasks.segmentation.planes import FULL


def fit_pixels(pixels: tf.Tensor, spec: ImageSpec) -> tf.Tensor:
    """Fits a batch of decoded tiles [N, h, w, C] to the model's input [N, H, W, C].

    The result is that of `serving.graph.inputs.model_input` for the same tiles, encoded.

    Args:
        pixels: of `spec.pixel_type`; in tiles of rasters NaN marks pixels that are not valid.
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


def class_probabilities(logits: tf.Tensor) -> tf.Tensor:
    """Converts logits [N, H, W, K] to probabilities [N, K, H, W]: a plane for each class."""
    return tf.transpose(tf.nn.softmax(tf.cast(logits, tf.float32)), (0, 3, 1, 2))


def class_planes(probabilities: tf.Tensor) -> tf.Tensor:
    """Encodes probabilities [N, K, H, W] as one gray PNG for each image: string [N].

    Its K * H rows are the planes of the classes, one below the other, in steps of 1/255
    (`serving.tasks.segmentation.planes`).
    """
    levels = tf.cast(tf.round(probabilities * FULL), tf.uint8)
    return tf.map_fn(
        lambda planes: tf.io.encode_png(
            tf.reshape(planes, (-1, tf.shape(planes)[2], 1)), compression=1
        ),
        levels,
        fn_output_signature=tf.string,
    )
