"""Explanations by gradients: integrated gradients and Grad-CAM of a scalar score per image."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Self

import tensorflow as tf

#: Share of an image's pixels shown at full heat, so that one hot pixel does not hide the others.
_FULL_SHARE = 0.01
_FULL = 65535
#: Most pixels whose gradients are computed at a time, unless a single step has more.
_PIXELS_TOGETHER = 1 << 18

#: Score of each of M inputs, given also the rows [M] of their images.
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

    Values that are not finite are constant along it.

    Attributes:
        start, end: pixels [N, H, W, C] of the baselines and of the images.
        first, last: the values [N, ...] to which the affine part maps them.
        to_pixels: maps a gradient with respect to the last values to that of the pixels.
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
            affine: function from pixels [N, H, W, C] to values [N, ...].
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

    The integral (Sundararajan et al. 2017, arXiv 1703.01365) is approximated by a sum over
    midpoints. Up to its error, the attributions of an image add up to the difference of the scores.
    Pixels that are not finite get 0; others are not finite where the score's gradient overflows.

    Args:
        line: from the baselines to the images. Its values also lie on a line, since the part before
            them is affine: the sum of the gradients at the values determines that at the pixels.
        score: function from values [M, ...] and the row of each one's image to scores [M].
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

    A batch of small images takes less time than the same number of single ones, so as many steps as
    the memory for gradients allows are computed together.
    """
    # Half precision has too few digits for the points of a line, and for a sum over them.
    begin, shape = tf.cast(start, tf.float32), end.shape[1:]
    finish = tf.cast(end, tf.float32)
    change = tf.where(begin == finish, 0.0, finish - begin)  # infinity minus infinity is NaN
    rows = tf.shape(end)[0]
    together = tf.maximum(_PIXELS_TOGETHER // tf.maximum(rows * area, 1), 1)
    shares = tf.reshape(
        (tf.range(steps, dtype=tf.float32) + 0.5) / steps, (-1, *[1] * len(end.shape))
    )

    # In a loop, TensorFlow's rewriter for oneDNN may visit a pooling's gradient before the pooling,
    # and then leaves it to a kernel of ten times the cost. A separate function has a fixed order.
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
    """Returns the positive contribution of each position of feature maps to a score, [N, H, W].

    Each position is weighted by its own gradient (HiResCAM, arXiv 2011.08891): equal to Grad-CAM
    (arXiv 1610.02391) if a network averages its last map, and faithful to the position if it does
    not. The result is float32, and the maps of several strides add up.

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

    The value that a hundredth of the pixels reach is white; images without heat and pixels whose
    heat is not finite are black.
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
