"""Views that hide something: a rectangle, the ground below a cloud, a band."""

from typing import Any

import tensorflow as tf

from trainer.augment.batch import (
    Batch,
    BatchLayer,
    Rows,
    chance,
    choice,
    drop_hidden,
    hide,
    normal,
    rows_of,
    seeds,
    sides_of,
    uniform,
    unknown,
)
from trainer.augment.config import Cloud, Cutout, MissingBand
from trainer.augment.light import as_type, moments

#: Cells and weights of the coarse fields that make up a cloud, from large lumps to small ones.
_LUMPS = ((2, 1.0), (4, 0.5), (8, 0.25))
#: Brightness of a cloud over rasters, in standard deviations of the batch above its mean;
#: photographs turn white.
_BRIGHTER = 3.0
#: Width of a cloud's rim, in standard deviations of its field.
_RIM = 1.0


class RandomCutout(BatchLayer):
    """Random rectangle that becomes unknown; boxes that it mostly covers are dropped."""

    def __init__(
        self, cutout: Cutout, ignore: int = 255, least_visible: float = 0.3, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.cutout, self.ignore, self.least_visible = cutout, ignore, least_visible

    def view(self, batch: Batch, seed: tf.Tensor) -> Batch:
        rows, sides = rows_of(batch), sides_of(batch)
        for_some, for_size, for_place = seeds(seed, 3)
        some = chance(for_some, rows, self.cutout.probability)
        size = uniform(for_size, rows, 2, most=self.cutout.most)
        size = tf.where(some[:, None], size, 0.0)
        rectangle = rectangles(uniform(for_place, rows, 2), size, sides)
        hidden = within(rectangle, sides)
        return drop_hidden(hide(batch, hidden, self.ignore), hidden, self.least_visible)

    def get_config(self) -> dict[str, Any]:
        own = {"cutout": self.cutout.model_dump(), "ignore": self.ignore}
        return {**super().get_config(), **own, "least_visible": self.least_visible}


class RandomCloud(BatchLayer):
    """Soft bright patches; their denser half hides the ground from the truth as well."""

    def __init__(
        self, cloud: Cloud, ignore: int = 255, least_visible: float = 0.3, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.cloud, self.ignore, self.least_visible = cloud, ignore, least_visible

    def view(self, batch: Batch, seed: tf.Tensor) -> Batch:
        images, rows = batch["images"], rows_of(batch)
        for_some, for_cover, for_field = seeds(seed, 3)
        some = chance(for_some, rows, self.cloud.probability)
        cover = uniform(for_cover, rows, least=0.01, most=self.cloud.cover)
        # The field is about normal, so the share `cover` of it is above this level.
        level = -tf.math.ndtri(cover)
        density = (_field(for_field, rows, sides_of(batch)) - level[:, None, None]) / _RIM + 0.5
        density = tf.clip_by_value(density, 0.0, 1.0) * self.cloud.opacity
        density = tf.where(some[:, None, None], density, 0.0)
        seen = tf.cast(images, tf.float32) * (1 - density[..., None])
        changed: Batch = {
            **batch,
            "images": as_type(seen + density[..., None] * _cloud_value(images), images),
        }
        hidden = density > self.cloud.opacity / 2
        if "masks" in batch:
            masks = batch["masks"]
            changed["masks"] = tf.where(hidden, tf.constant(self.ignore, masks.dtype), masks)
        return drop_hidden(changed, hidden, self.least_visible)

    def get_config(self) -> dict[str, Any]:
        own = {"cloud": self.cloud.model_dump(), "ignore": self.ignore}
        return {**super().get_config(), **own, "least_visible": self.least_visible}


class RandomMissingBand(BatchLayer):
    """Random band of an image that becomes unknown."""

    def __init__(self, missing_band: MissingBand, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.missing_band = missing_band

    def view(self, batch: Batch, seed: tf.Tensor) -> Batch:
        images, rows = batch["images"], rows_of(batch)
        bands = images.shape[-1]
        for_some, for_which = seeds(seed, 2)
        some = chance(for_some, rows, self.missing_band.probability)
        which = choice(for_which, rows, bands)
        gone = tf.one_hot(tf.where(some, which, -1), bands, True, False)
        return {**batch, "images": tf.where(gone[:, None, None], unknown(images), images)}

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "missing_band": self.missing_band.model_dump()}


def rectangles(place: tf.Tensor, size: tf.Tensor, sides: tuple[int, int]) -> tf.Tensor:
    """Returns rectangles in whole pixels, inside the image, and empty for a size of 0.

    Returns: int32 [N, 4]: top, left, bottom, right.

    Args:
        place: float32 [N, 2], from 0 (top, left) to 1.
        size: float32 [N, 2], shares of height and width.
    """
    span = tf.cast(tf.round(size * tf.cast(sides, tf.float32)), tf.int32)
    room = tf.cast(tf.constant(sides) - span + 1, tf.float32)
    start = tf.minimum(tf.cast(place * room, tf.int32), sides - span)
    return tf.concat([start, start + span], axis=1)


def within(rectangle: tf.Tensor, sides: tuple[int, int]) -> tf.Tensor:
    """Returns a mask of the pixels within rectangles int32 [N, 4]: bool [N, H, W]."""
    top, left, bottom, right = tf.unstack(rectangle[:, :, None], axis=1)
    rows, cols = tf.range(sides[0]), tf.range(sides[1])
    row, col = (rows >= top) & (rows < bottom), (cols >= left) & (cols < right)
    return row[:, :, None] & col[:, None, :]


def _field(seed: tf.Tensor, rows: Rows, sides: tuple[int, int]) -> tf.Tensor:
    """Returns a lumpy field of mean 0 and deviation 1 over each image, float32 [N, H, W]."""
    total = 0.0
    for (cells, weight), own in zip(_LUMPS, seeds(seed, len(_LUMPS)), strict=True):
        coarse = normal(own, rows, cells, cells, 1)
        total += weight * tf.image.resize(coarse, sides, "bicubic")[..., 0]
    mean, variance = tf.nn.moments(total, (1, 2), keepdims=True)
    return (total - mean) * tf.math.rsqrt(variance + 1e-6)


def _cloud_value(images: tf.Tensor) -> tf.Tensor:
    """Returns the brightness of a dense cloud in each band, float32 [C] or [], for all images."""
    if not images.dtype.is_floating:
        return tf.constant(float(images.dtype.max))
    _, width, bands = images.shape[1:]
    mean, deviation = moments(tf.reshape(images, (1, -1, width, bands)))
    return (mean + _BRIGHTER * deviation)[0]
