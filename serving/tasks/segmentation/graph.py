"""Served outputs of segmentation."""

from typing import Any

import numpy as np
import tensorflow as tf

from components.raster.labels.targets import ignore_value
from serving.tasks.base import CLASSES_OUTPUT
from serving.tasks.graph import (
    AnswerSpec,
    Explained,
    TaskGraph,
    Tensors,
    chosen_class,
    names_in_each_row,
)
from serving.tasks.pooling import Pooled, pool_classes
from serving.tasks.segmentation.answer import CLASS_RASTER_OUTPUT, CONFIDENCE_OUTPUT
from serving.tasks.segmentation.planes import (
    CLASS_PROBABILITIES_OUTPUT,
    FULL,
    PLANES_OUTPUT,
)


class SegmentationGraph(TaskGraph):
    """Served outputs of segmentation."""

    has_planes = True

    def answer(self, logits: tf.Tensor, pixels: tf.Tensor, spec: AnswerSpec) -> Tensors:
        """Converts logits [N, H, W, K] to each pixel's most probable class and its probability.

        The raster is uint8 if that holds the classes and the ignore value, else int32. A pixel in
        which any band is not finite has the ignore value (`components.raster.labels.targets`) and
        the confidence 0.
        """
        probabilities = tf.nn.softmax(tf.cast(logits, tf.float32))
        valid = valid_pixels(pixels)
        ignore = ignore_value(len(spec.classes))
        dtype = tf.uint8 if ignore <= np.iinfo(np.uint8).max else tf.int32
        raster = tf.cast(tf.argmax(logits, axis=-1, output_type=tf.int32), dtype)
        return {
            CLASS_RASTER_OUTPUT: tf.where(valid, raster, tf.constant(ignore, dtype)),
            CONFIDENCE_OUTPUT: tf.where(valid, tf.reduce_max(probabilities, axis=-1), 0.0),
            CLASSES_OUTPUT: names_in_each_row(spec.classes, tf.shape(logits)[0]),
        }

    def pool(self, members: tf.Tensor, pixels: tf.Tensor) -> Pooled:
        """Averages the probabilities of each pixel.

        Disagreement is the mean mutual information of class and member over the pixels with data.
        """
        outputs, information = pool_classes(members)
        valid = valid_pixels(pixels)
        total = tf.reduce_sum(tf.where(valid, information, 0.0), axis=(1, 2))
        count = tf.reduce_sum(tf.cast(valid, tf.float32), axis=(1, 2))
        return Pooled(outputs, tf.math.divide_no_nan(total, count))

    def explained(
        self,
        outputs: tf.Tensor,
        found: Any,
        pixels: tf.Tensor,
        target: tf.Tensor,
        spec: AnswerSpec,
    ) -> Explained:
        """Explains the mean logit of a class over its pixels in the answer.

        The default is the most frequent class. A class without pixels is explained over all pixels.
        """
        count = len(spec.classes)
        given = tf.one_hot(tf.argmax(outputs, axis=-1), count)
        given *= tf.cast(valid_pixels(pixels), tf.float32)[..., tf.newaxis]
        index, known = chosen_class(tf.reduce_sum(given, axis=(1, 2)), target, spec)
        channel = tf.one_hot(index, count)[:, tf.newaxis, tf.newaxis]
        own = given * channel
        area = tf.reduce_sum(own, axis=(1, 2, 3), keepdims=True)
        shown = tf.where(area > 0, own, tf.ones_like(own) * channel)
        weights = shown / tf.reduce_sum(shown, axis=(1, 2, 3), keepdims=True)
        return Explained(tf.gather(tf.constant(spec.classes, tf.string), index), weights, known)

    def for_maps(self, outputs: tf.Tensor, pixels: tf.Tensor, spec: AnswerSpec) -> Tensors:
        return {CLASS_PROBABILITIES_OUTPUT: class_probabilities(outputs)}

    def planes(self, outputs: tf.Tensor) -> Tensors:
        return {PLANES_OUTPUT: class_planes(class_probabilities(outputs))}


def valid_pixels(pixels: tf.Tensor) -> tf.Tensor:
    """Marks pixels whose bands are all finite: [N, H, W, C] to bool [N, H, W]."""
    return tf.reduce_all(tf.math.is_finite(tf.cast(pixels, tf.float32)), axis=-1)


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


GRAPH = SegmentationGraph()
