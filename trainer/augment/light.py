"""Views that change values: light, colour and noise. Missing values stay missing."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from trainer.augment.batch import Batch, BatchLayer, Rows, chance, normal, rows_of, seeds, uniform
from trainer.augment.config import Brightness, Colour, Contrast, Noise


class RandomLight(BatchLayer):
    """Brightness and contrast by band group and colour by band, as one multiplication and one sum.

    Args:
        groups: group number of each of the C bands, from 0.
        brightness, contrast, colour: None omits the view.
    """

    def __init__(
        self,
        groups: Sequence[int],
        brightness: Brightness | None = None,
        contrast: Contrast | None = None,
        colour: Colour | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.groups = tuple(groups)
        self.brightness, self.contrast, self.colour = brightness, contrast, colour

    def view(self, batch: Batch, seed: tf.Tensor) -> Batch:
        images, rows = batch["images"], rows_of(batch)
        bands = range(len(self.groups))
        for_light, for_contrast, for_colour = seeds(seed, 3)
        gain = _factors(for_light, rows, self.brightness, self.groups)
        gain *= _factors(for_colour, rows, self.colour, bands)
        offset = tf.zeros_like(gain)
        if self.contrast:
            factor = _factors(for_contrast, rows, self.contrast, self.groups)
            mean, _ = moments(images)
            offset = gain * (1 - factor) * mean
            gain *= factor
        return {**batch, "images": _scaled(images, gain, offset)}

    def get_config(self) -> dict[str, Any]:
        parts = {"brightness": self.brightness, "contrast": self.contrast, "colour": self.colour}
        plain = {name: part and part.model_dump() for name, part in parts.items()}
        return {**super().get_config(), "groups": list(self.groups), **plain}


class RandomNoise(BatchLayer):
    """Normal noise, scaled by the standard deviation of each band of an image."""

    def __init__(self, noise: Noise, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.noise = noise

    def view(self, batch: Batch, seed: tf.Tensor) -> Batch:
        images, rows = batch["images"], rows_of(batch)
        for_some, for_share, for_values = seeds(seed, 3)
        some = chance(for_some, rows, self.noise.probability)
        share = tf.where(some, uniform(for_share, rows, most=self.noise.most), 0.0)
        _, deviation = moments(images)
        strength = (share[:, None] * deviation)[:, None, None]
        values = normal(for_values, rows, *images.shape[1:])
        return {**batch, "images": as_type(tf.cast(images, tf.float32) + strength * values, images)}

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "noise": self.noise.model_dump()}


def moments(images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Computes mean and deviation of each band over each image's known pixels: float32 [N, C].

    Both are 0 for a band without known pixels.
    """
    values = tf.cast(images, tf.float32)
    if not images.dtype.is_floating:
        mean, variance = tf.nn.moments(values, (1, 2))
        return mean, tf.sqrt(variance)
    known = tf.math.is_finite(values)
    count = tf.reduce_sum(tf.cast(known, tf.float32), (1, 2))
    mean = tf.math.divide_no_nan(tf.reduce_sum(tf.where(known, values, 0.0), (1, 2)), count)
    apart = tf.where(known, values - mean[:, None, None], 0.0)
    return mean, tf.sqrt(tf.math.divide_no_nan(tf.reduce_sum(apart**2, (1, 2)), count))


def as_type(values: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
    """Casts float32 values to the images' type, clipped to its range where that is uint8."""
    if images.dtype.is_floating:
        return values
    return tf.saturate_cast(values + 0.5, images.dtype)


def _factors(
    seed: tf.Tensor,
    rows: Rows,
    part: Brightness | Contrast | Colour | None,
    groups: Sequence[int],
) -> tf.Tensor:
    """Draws a factor for each image and band, float32 [N, C], equal within a group."""
    if part is None:
        return tf.ones((rows.count, len(groups)))
    for_some, for_factor = seeds(seed, 2)
    some = chance(for_some, rows, part.probability)
    drawn = uniform(for_factor, rows, max(groups) + 1, least=1 - part.most, most=1 + part.most)
    return tf.where(some[:, None], tf.gather(drawn, tuple(groups), axis=1), 1.0)


def _scaled(images: tf.Tensor, gain: tf.Tensor, offset: tf.Tensor) -> tf.Tensor:
    """Scales the images; factors are spread along rows first, as whole rows are fast to process."""
    width, bands = images.shape[2:]
    shape = (tf.shape(images)[0], 1, width, bands)
    spread = (tf.broadcast_to(values[:, None, None], shape) for values in (gain, offset))
    gain, offset = spread
    return as_type(tf.cast(images, tf.float32) * gain + offset, images)
