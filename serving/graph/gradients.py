"""Explanations by gradients: integrated gradients and Grad-CAM of a scalar score for each image."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Self

import tensorflow as tf

#: Share of an image's pixels that a heat map shows at its full value: one hot pixel hides no other.
_FULL_SHARE = 0.01
_FULL = 65535
#: Pixels of the images whose gradients are computed at once, unless one step has more.
_PIXELS_TOGETHER = 1 << 18

#: Score of each of M inputs, given also the rows [M] of the images that they stem from.
Score = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def baseline_of(pixels: tf.Tensor, kind: Literal["mean", "zero"]) -> tf.Tensor:
    """Returns the image from which gradients are integrated: float32 [N, 1, 1, C].

    Args:
        pixels: float32 [N, H, W, C]; not finite where there is no data.
        kind: as in `serving.contract.explanations`.
    """
    zero = tf.zeros_like(pixels[:, :1, :1])
    if kind == "zero":
        return zero
    finite = tf.math.is_finite(pixels)
    count = tf.reduce_sum(tf.cast(finite, tf.float32), axis=(1, 2), keepdims=True)
    total = tf.reduce_sum(tf.where(finite, pixels, 0.0), axis=(1, 2), keepdims=True)
    return total / tf.maximum(count, 1.0)


@dataclass(frozen=True, eq=False)
class AffineLine:
    """The line from baselines to images, before and after the affine part of a model.

    Values that are not finite are the same all along it.

    Attributes:
        start, end: pixels [N, H, W, C] of the baselines and of the images.
        first, last: the values [N, ...] to which the affine part maps them.
        to_pixels: gradient of the last values to that of the images.
    """

    start: tf.Tensor
    end: tf.Tensor
    first: tf.Tensor
    last: tf.Tensor
    to_pixels: Callable[[tf.Tensor], tf.Tensor]

    @classmethod
    def between(
        cls, affine: Callable[[tf.Tensor], tf.Tensor], baseline: tf.Tensor, pixels: tf.Tensor
    ) -> Self:
        """Computes the affine part once for the baselines, and once for the images.

        Args:
            affine: pixels [N, H, W, C] to values [N, ...].
            baseline: float32 [N, 1, 1, C].
            pixels: float32 [N, H, W, C].
        """
        start = tf.where(tf.math.is_finite(pixels), baseline, pixels)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(pixels)
            last = affine(pixels)
        return cls(
            start,
            pixels,
            affine(start),
            last,
            lambda gradient: tape.gradient(last, pixels, output_gradients=gradient),
        )


def integrated_gradients(line: AffineLine, score: Score, steps: int) -> tf.Tensor:
    """Attributes a score's difference from the baseline to the pixels: float32 [N, H, W, C].

    The integral (Sundararajan et al. 2017, arXiv 1703.01365) is a sum over midpoints. Up to its
    error, the attributions of an image add up to the difference of the scores. Pixels that are not
    finite get 0; others are not finite where the score's gradient overflows.

    Args:
        line: from the baselines to the images. Its values are a line, too, since the part before
            them is affine: the sum of the gradients there leads back to the pixels.
        score: values [M, ...], and the row of the image that each stems from, to [M].
        steps: number of midpoints.
    """
    area = line.end.shape[1] * line.end.shape[2]
    gradient = _mean_gradient(score, line.first, line.last, steps, area)
    attributions = (line.end - line.start) * line.to_pixels(gradient)
    return tf.where(tf.math.is_finite(line.end), attributions, 0.0)


def _mean_gradient(
    score: Score, start: tf.Tensor, end: tf.Tensor, steps: int, area: int
) -> tf.Tensor:
    """Averages the gradient of a score over the midpoints of a line of values [N, ...].

    A batch of small images takes less time than as many single ones, so several steps are computed
    at once: as many as the memory for the gradients allows.
    """
    # Half precision has too few digits for the points of a line, and for a sum over them.
    begin, shape = tf.cast(start, tf.float32), end.shape[1:]
    finish = tf.cast(end, tf.float32)
    change = tf.where(begin == finish, 0.0, finish - begin)  # infinity less itself is no number
    rows = tf.shape(end)[0]
    together = tf.maximum(_PIXELS_TOGETHER // tf.maximum(rows * area, 1), 1)
    shares = tf.reshape(
        (tf.range(steps, dtype=tf.float32) + 0.5) / steps, (-1, *[1] * len(end.shape))
    )

    # In a loop, TensorFlow's rewriting for oneDNN may meet a pooling's gradient before the pooling.
    # It then leaves it to a kernel of ten times the cost; a function apart has a fixed order.
    @tf.function(autograph=False, experimental_attributes={"_noinline": True})
    def gradients(index: tf.Tensor) -> tf.Tensor:
        between = begin + shares[index : index + together] * change
        between = tf.cast(tf.reshape(between, (-1, *shape)), end.dtype)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(between)
            scores = score(between, tf.range(tf.shape(between)[0]) % rows)
        gradient = tf.cast(tape.gradient(scores, between), tf.float32)
        return tf.reduce_sum(tf.reshape(gradient, (-1, rows, *shape)), axis=0)

    def step(index: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return index + together, total + gradients(index)

    _, total = tf.while_loop(
        lambda index, total: index < steps,
        step,
        (tf.constant(0), tf.zeros_like(begin)),
        parallel_iterations=1,
    )
    return tf.cast(total / steps, end.dtype)


def grad_cam(
    maps: list[tf.Tensor], gradients: list[tf.Tensor], height: int, width: int
) -> tf.Tensor:
    """Returns the positive share of each place of feature maps in a score: float32 [N, H, W].

    Each place is weighed by its own gradient (HiResCAM, arXiv 2011.08891): the same as Grad-CAM
    (arXiv 1610.02391) where a network averages its last map, and true to the place where it does
    not. The maps of several strides add up.

    Args:
        maps: [N, h, w, D], one for each stride.
        gradients: of the score, in the same shapes.
        height: rows of the result.
        width: columns of the result.
    """
    shares = []
    for values, gradient in zip(maps, gradients, strict=True):
        share = tf.reduce_sum(values * gradient, axis=-1, keepdims=True)
        rows, columns = share.shape[1:3]
        spread = tf.image.resize(share, (height, width)) * (rows * columns / (height * width))
        shares.append(spread[..., 0])
    return tf.nn.relu(tf.add_n(shares))


def heat_of(attributions: tf.Tensor) -> tf.Tensor:
    """Returns the influence of each pixel over all bands: [N, H, W, C] to [N, H, W]."""
    return tf.abs(tf.reduce_sum(attributions, axis=-1))


def heat_png(heat: tf.Tensor) -> tf.Tensor:
    """Encodes heat >= 0 [N, H, W] as one gray PNG of 16 bits for each image: string [N].

    The value that a hundredth of the pixels reach is white; an image without heat is black, and so
    are places whose heat is not finite.
    """
    heat = tf.where(tf.math.is_finite(heat), heat, 0.0)
    rows = tf.shape(heat)[0]
    flat = tf.reshape(heat, (rows, heat.shape[1] * heat.shape[2]))
    hottest = tf.math.top_k(flat, max(1, round(_FULL_SHARE * flat.shape[1])))[0]
    full = tf.where(hottest[:, -1] > 0, hottest[:, -1], hottest[:, 0])
    scaled = heat / tf.where(full > 0, full, 1.0)[:, tf.newaxis, tf.newaxis]
    levels = tf.cast(tf.round(tf.clip_by_value(scaled, 0.0, 1.0) * _FULL), tf.uint16)
    return tf.map_fn(
        lambda gray: tf.io.encode_png(gray[..., tf.newaxis]),
        levels,
        fn_output_signature=tf.TensorSpec([], tf.string),
    )
