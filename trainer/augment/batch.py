"""A batch as the layers take and give it, and what they share."""

import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple, NotRequired, TypedDict

import keras
import tensorflow as tf


class Rows(NamedTuple):
    """Which images of a training's whole batch are here: `count` of `whole`, from `first` on.

    All that is drawn is drawn for the whole batch, so that a process that has a part of it shows
    its images as one that has them all.
    """

    count: tf.Tensor
    first: tf.Tensor | int = 0
    whole: tf.Tensor | None = None

    def drawn(self, draw: Callable[[tuple[Any, ...]], tf.Tensor], *each: int) -> tf.Tensor:
        """What is drawn in the shape [whole, *each], of the images that are here: [N, *each]."""
        if self.whole is None:
            return draw((self.count, *each))
        return draw((self.whole, *each))[self.first : self.first + self.count]


class Batch(TypedDict):
    """A batch of N images (H, W, C) with the truth that follows them.

    Attributes:
        images: uint8 (photographs), or float32 with NaN where nothing is known (rasters).
        targets: float [N, K] or [N]: soft labels or numbers, mixed as images are.
        masks: integers [N, H, W]: class indices and an ignore value.
        boxes: float32 [N, M, 4]: top, left, bottom, right in pixels, edges included.
        classes: int [N, M] of the boxes; -1 where there is no box.
        place: int32 [2], where this is a part of a larger batch: the number of its first image in
            that, and how many images that has.
    """

    images: tf.Tensor
    targets: NotRequired[tf.Tensor]
    masks: NotRequired[tf.Tensor]
    boxes: NotRequired[tf.Tensor]
    classes: NotRequired[tf.Tensor]
    place: NotRequired[tf.Tensor]


class BatchLayer(keras.layers.Layer, ABC):
    """A random view. It keeps no state: what it draws follows from the seed it is called with."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(trainable=False, autocast=False, dtype="float32", **kwargs)

    def call(self, batch: Batch, seed: tf.Tensor) -> Batch:
        """The batch seen anew; int32 [2] to draw from."""
        return self.view(batch, self._own(seed))

    @abstractmethod
    def view(self, batch: Batch, seed: tf.Tensor) -> Batch:
        """As `call`, with a seed that no other kind of layer has."""

    def _own(self, seed: tf.Tensor) -> tf.Tensor:
        """By kind and not by place, so that one more layer changes nothing for the others."""
        kind = zlib.crc32(type(self).__name__.encode()) % 2**31
        return tf.random.fold_in(seed, kind)


def seeds(seed: tf.Tensor, count: int) -> list[tf.Tensor]:
    """Independent seeds from one."""
    return tf.unstack(tf.random.split(seed, count))


def uniform(
    seed: tf.Tensor, rows: Rows, *each: int, least: float = 0.0, most: float = 1.0
) -> tf.Tensor:
    """float32 [N, *each] from least to most."""
    return rows.drawn(lambda shape: tf.random.stateless_uniform(shape, seed, least, most), *each)


def normal(seed: tf.Tensor, rows: Rows, *each: int) -> tf.Tensor:
    """float32 [N, *each] of mean 0 and deviation 1."""
    return rows.drawn(lambda shape: tf.random.stateless_normal(shape, seed), *each)


def choice(seed: tf.Tensor, rows: Rows, choices: int) -> tf.Tensor:
    """int32 [N] from 0 to choices - 1."""
    return rows.drawn(lambda shape: tf.random.stateless_uniform(shape, seed, 0, choices, tf.int32))


def chance(seed: tf.Tensor, rows: Rows, probability: float) -> tf.Tensor:
    """bool [N]: which images it happens to."""
    return uniform(seed, rows) < probability


def rows_of(batch: Batch) -> Rows:
    """Which images are here; how many, a graph may not know beforehand."""
    count = tf.shape(batch["images"])[0]
    return Rows(count, *tf.unstack(batch["place"])) if "place" in batch else Rows(count)


def sides_of(batch: Batch) -> tuple[int, int]:
    """Height and width."""
    _, height, width, _ = batch["images"].shape
    return height, width


def unknown(images: tf.Tensor) -> tf.Tensor:
    """What stands for a value that is not known, in the images' own type."""
    return tf.constant(float("nan") if images.dtype.is_floating else 0, images.dtype)


def hide(batch: Batch, hidden: tf.Tensor, ignore: int) -> Batch:
    """Makes pixels, bool [N, H, W], unknown to the model and to its truth."""
    images = batch["images"]
    changed: Batch = {**batch, "images": tf.where(hidden[..., None], unknown(images), images)}
    if "masks" in batch:
        masks = batch["masks"]
        changed["masks"] = tf.where(hidden, tf.constant(ignore, masks.dtype), masks)
    return changed


def keep_boxes(batch: Batch, kept: tf.Tensor) -> Batch:
    """Drops the boxes that are not kept, bool [N, M]."""
    boxes, classes = batch["boxes"], batch["classes"]
    none = tf.constant(-1, classes.dtype)
    return {
        **batch,
        "boxes": tf.where(kept[..., None], boxes, 0.0),
        "classes": tf.where(kept, classes, none),
    }


def drop_hidden(batch: Batch, hidden: tf.Tensor, least_visible: float) -> Batch:
    """Drops boxes of whose pixels less can be seen; hidden is bool [N, H, W]."""
    if "boxes" not in batch:
        return batch
    height, width = sides_of(batch)
    # What lies above and to the left of each corner: four of these make a rectangle's sum.
    sums = tf.cumsum(tf.cumsum(tf.cast(hidden, tf.float32), axis=1), axis=2)
    sums = tf.pad(sums, ((0, 0), (1, 0), (1, 0)))
    edges = tf.clip_by_value(tf.cast(tf.round(batch["boxes"]), tf.int32), 0, (height, width) * 2)
    top, left, bottom, right = tf.unstack(edges, axis=2)

    def before(row: tf.Tensor, col: tf.Tensor) -> tf.Tensor:
        return tf.gather_nd(sums, tf.stack([row, col], axis=-1), batch_dims=1)

    lost = before(bottom, right) - before(top, right) - before(bottom, left) + before(top, left)
    whole = areas(tf.cast(edges, tf.float32))
    kept = (batch["classes"] >= 0) & (whole - lost >= least_visible * whole)
    return keep_boxes(batch, kept)


def areas(boxes: tf.Tensor) -> tf.Tensor:
    """float32 [..., 4] to square pixels [...]; none is negative."""
    sides = tf.maximum(boxes[..., 2:] - boxes[..., :2], 0.0)
    return sides[..., 0] * sides[..., 1]
