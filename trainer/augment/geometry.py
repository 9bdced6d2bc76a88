"""Views that move pixels: the symmetries of a rectangle, and a window on the image."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from trainer.augment.batch import (
    Batch,
    BatchLayer,
    Rows,
    areas,
    chance,
    choice,
    keep_boxes,
    rows_of,
    seeds,
    sides_of,
    uniform,
)
from trainer.augment.config import Crop, Shift, Zoom

# A symmetry is three bits: transpose first, then reverse the rows, then the columns.
_ROWS, _COLS, _TRANSPOSE = 1, 2, 4


def symmetries(flip: Sequence[str], quarter_turns: bool) -> tuple[int, ...]:
    """Returns all combinations of the flips and turns, in any order."""
    if quarter_turns and flip:
        return tuple(range(8))
    if quarter_turns:
        return (0, _ROWS | _COLS, _TRANSPOSE | _ROWS, _TRANSPOSE | _COLS)
    bits = {"horizontal": _COLS, "vertical": _ROWS}
    found = {0, *(bits[axis] for axis in flip)}
    return tuple(sorted(found | ({_ROWS | _COLS} if len(found) == 3 else set())))


class RandomSymmetry(BatchLayer):
    """Flips and quarter turns, one for each image; no pixel is resampled.

    Args:
        flip: axes, "horizontal" and "vertical".
        quarter_turns: have an effect on square images only.
    """

    def __init__(self, flip: Sequence[str], quarter_turns: bool, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.flip, self.quarter_turns = tuple(flip), quarter_turns

    def view(self, batch: Batch, seed: tf.Tensor) -> Batch:
        height, width = sides_of(batch)
        choices = symmetries(self.flip, self.quarter_turns and height == width)
        which = tf.gather(choices, choice(seed, rows_of(batch), len(choices)))
        changed: Batch = {**batch, "images": _turned(batch["images"], which, choices)}
        if "masks" in batch:
            changed["masks"] = _turned(batch["masks"][..., None], which, choices)[..., 0]
        if "boxes" in batch:
            rows, cols, transposed = (
                tf.cast(tf.bitwise.bitwise_and(which, bit) > 0, tf.int32)
                for bit in (_ROWS, _COLS, _TRANSPOSE)
            )
            moved = _moved_boxes(batch["boxes"], rows, cols, transposed, (height, width))
            changed = keep_boxes({**changed, "boxes": moved}, batch["classes"] >= 0)
        return changed

    def get_config(self) -> dict[str, Any]:
        own = {"flip": list(self.flip), "quarter_turns": self.quarter_turns}
        return {**super().get_config(), **own}


class RandomWindow(BatchLayer):
    """Zoom, crop and shift combined into one window, so that the image is resampled once.

    Values between pixels are interpolated bilinearly over the known ones; a pixel is known where
    these have at least half of the weight, as in `serving.graph.decode_tiles`. Masks take the
    nearest pixel's class.

    Args:
        zoom, crop, shift: None omits the view.
        ignore: value of masks outside the image.
        least_visible: share of a box below which it is dropped.
    """

    def __init__(
        self,
        zoom: Zoom | None = None,
        crop: Crop | None = None,
        shift: Shift | None = None,
        ignore: int = 255,
        least_visible: float = 0.3,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.zoom, self.crop, self.shift = zoom, crop, shift
        self.ignore, self.least_visible = ignore, least_visible

    def view(self, batch: Batch, seed: tf.Tensor) -> Batch:
        height, width = sides_of(batch)
        window = self._window(seed, rows_of(batch))
        changed: Batch = {**batch, "images": _resampled(batch["images"], window)}
        if "masks" in batch:
            changed["masks"] = _nearest(batch["masks"], window, self.ignore)
        if "boxes" in batch:
            whole = areas(batch["boxes"]) / (window.size**2)[:, None]
            centre = tf.tile(window.start * (height - 1, width - 1), (1, 2))[:, None]
            edges = (batch["boxes"] - 0.5 - centre) / window.size[:, None, None] + 0.5
            cut = tf.clip_by_value(edges, 0.0, tf.constant([height, width] * 2, tf.float32))
            kept = (areas(cut) >= self.least_visible * whole) & (areas(cut) > 0)
            changed = keep_boxes({**changed, "boxes": cut}, kept & (batch["classes"] >= 0))
        return changed

    def _window(self, seed: tf.Tensor, here: Rows) -> "_Window":
        """Composes the windows of zoom, crop and shift, each relative to the one before."""
        window = _Window(tf.zeros((here.count, 2)), tf.ones((here.count,)))
        for_zoom, for_crop, for_shift = (seeds(one, 3) for one in seeds(seed, 3))
        if self.zoom:
            # Twice as large and half as large are equally likely.
            least, most = (-math.log(factor) for factor in (self.zoom.most, self.zoom.least))
            drawn = tf.exp(uniform(for_zoom[1], here, least=least, most=most))
            size = tf.where(chance(for_zoom[0], here, self.zoom.probability), drawn, 1.0)
            window = window.part(tf.tile((1 - size[:, None]) / 2, (1, 2)), size)
        if self.crop:
            side = tf.sqrt(uniform(for_crop[1], here, least=self.crop.least_area))
            size = tf.where(chance(for_crop[0], here, self.crop.probability), side, 1.0)
            at = uniform(for_crop[2], here, 2)
            window = window.part(at * (1 - size[:, None]), size)
        if self.shift:
            most = self.shift.most
            by = uniform(for_shift[1], here, 2, least=-most, most=most)
            some = chance(for_shift[0], here, self.shift.probability)
            window = window.part(tf.where(some[:, None], by, 0.0), tf.ones((here.count,)))
        return window

    def get_config(self) -> dict[str, Any]:
        parts = {"zoom": self.zoom, "crop": self.crop, "shift": self.shift}
        plain = {name: part and part.model_dump() for name, part in parts.items()}
        own = {"ignore": self.ignore, "least_visible": self.least_visible}
        return {**super().get_config(), **plain, **own}


class _Window(NamedTuple):
    """Visible part of each image: (0, 0) is the centre of its first pixel, 1 that of its last.

    Attributes:
        start: float32 [N, 2], down and to the right.
        size: float32 [N], the same along both axes.
    """

    start: tf.Tensor
    size: tf.Tensor

    def part(self, start: tf.Tensor, size: tf.Tensor) -> "_Window":
        return _Window(self.start + start * self.size[:, None], self.size * size)


def _turned(values: tf.Tensor, which: tf.Tensor, choices: Sequence[int]) -> tf.Tensor:
    """Applies to each image of [N, H, W, C] its own symmetry, int32 [N], out of the choices.

    Images of the same symmetry are turned together. This moves whole rows and takes half the time
    of a gather of pixels.
    """
    count = max(choices) + 1
    order = tf.dynamic_partition(tf.range(tf.shape(values)[0]), which, count)
    parts = tf.dynamic_partition(values, which, count)
    turned = []
    for symmetry, part in enumerate(parts):
        if symmetry & _TRANSPOSE and symmetry in choices:
            part = tf.transpose(part, (0, 2, 1, 3))
        axes = [axis for axis, bit in ((1, _ROWS), (2, _COLS)) if symmetry & bit]
        turned.append(tf.reverse(part, axes) if axes else part)
    return tf.ensure_shape(tf.dynamic_stitch(order, turned), values.shape)


def _taken(values: tf.Tensor, places: tf.Tensor) -> tf.Tensor:
    """Gathers [N, H, W, C] at the places [N, H, W], counted along the rows."""
    _, height, width, channels = values.shape
    flat = tf.reshape(values, (-1, height * width, channels))
    taken = tf.gather(flat, tf.reshape(places, (-1, height * width)), batch_dims=1)
    return tf.reshape(taken, (-1, height, width, channels))


def _moved_boxes(
    boxes: tf.Tensor,
    rows: tf.Tensor,
    cols: tf.Tensor,
    transposed: tf.Tensor,
    sides: tuple[int, int],
) -> tf.Tensor:
    boxes = tf.where(transposed[:, None, None] > 0, tf.gather(boxes, (1, 0, 3, 2), axis=2), boxes)
    top, left, bottom, right = tf.unstack(boxes, axis=2)
    height, width = (float(side) for side in sides)
    down, across = rows[:, None] > 0, cols[:, None] > 0
    return tf.stack(
        [
            tf.where(down, height - bottom, top),
            tf.where(across, width - right, left),
            tf.where(down, height - top, bottom),
            tf.where(across, width - left, right),
        ],
        axis=2,
    )


def _resampled(images: tf.Tensor, window: _Window) -> tf.Tensor:
    if not images.dtype.is_floating:
        return tf.cast(_bilinear(images, window) + 0.5, images.dtype)
    known = tf.math.is_finite(images)
    both = tf.concat([tf.where(known, images, 0.0), tf.cast(known, tf.float32)], axis=-1)
    values, weights = tf.split(_bilinear(both, window), 2, axis=-1)
    half = weights >= 0.5
    return tf.where(half, values / tf.where(half, weights, 1.0), float("nan"))


def _bilinear(images: tf.Tensor, window: _Window) -> tf.Tensor:
    """Samples float32 images bilinearly, 0 outside; a window of the whole image is exact."""
    corners = tf.concat([window.start, window.start + window.size[:, None]], axis=1)
    return tf.image.crop_and_resize(
        images, corners, tf.range(tf.shape(images)[0]), images.shape[1:3]
    )


def _nearest(masks: tf.Tensor, window: _Window, ignore: int) -> tf.Tensor:
    _, height, width = masks.shape
    (row, row_known), (col, col_known) = (
        _along(window.start[:, axis], window.size, side)
        for axis, side in enumerate((height, width))
    )
    taken = _taken(masks[..., None], row[:, :, None] * width + col[:, None, :])[..., 0]
    known = row_known[:, :, None] & col_known[:, None, :]
    return tf.where(known, taken, tf.constant(ignore, masks.dtype))


def _along(start: tf.Tensor, size: tf.Tensor, side: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns each place's nearest pixel on one axis, int32 [N, side], and whether it is inside."""
    places = start[:, None] * (side - 1) + size[:, None] * tf.range(side, dtype=tf.float32)
    inside = (places >= 0) & (places <= side - 1)
    nearest = tf.cast(tf.floor(places + 0.5), tf.int32)
    return tf.clip_by_value(nearest, 0, side - 1), inside
