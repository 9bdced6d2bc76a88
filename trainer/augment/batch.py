"""The batch format of the augmentation layers, and their shared operations."""

import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple, NotRequired, TypedDict

import keras
import tensorflow as tf


class Rows(NamedTuple):
    """Rows of a training's whole batch in this process: `count` of `whole`, from `first` on.

    Random numbers are drawn for the whole batch, so that a process with a part of it gets the same
    views as one that has all images.
    """

    count: tf.Tensor
    first: tf.Tensor | int = 0
    whole: tf.Tensor | None = None

    def drawn(self, draw: Callable[[tuple[Any, ...]], tf.Tensor], *each: int) -> tf.Tensor:
        """Draws in the shape [whole, *each] and returns the rows of these images: [N, *each]."""
        if self.whole is None:
            return draw((self.count, *each))
        return draw((self.whole, *each))[self.first : self.first + self.count]


class Batch(TypedDict):
    """A batch of N images (H, W, C) with the targets that follow them.

    Attributes:
        images: uint8 (photographs), or float32 with NaN for missing values (rasters).
        targets: float [N, K] or [N]: soft labels or numbers, mixed like the images.
        masks: integers [N, H, W]: class indices and an ignore value.
        boxes: float32 [N, M, 4]: top, left, bottom, right in pixels, edges included.
        classes: int [N, M] of the boxes; -1 where there is no box.
        place: int32 [2] in a part of a larger batch: the index of its first image there, and the
            number of images of the larger batch.
    """

    images: tf.Tensor
    targets: NotRequired[tf.Tensor]
    masks: NotRequired[tf.Tensor]
    boxes: NotRequired[tf.Tensor]
    classes: NotRequired[tf.Tensor]
    place: NotRequired[tf.Tensor]


class BatchLayer(keras.layers.Layer, ABC):
    """Stateless random view; all random numbers follow from the seed of the call."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(trainable=False, autocast=False, dtype="float32", **kwargs)
        self.built = True  # Keras would trace the first call twice, in search of variables

    def call(self, batch: Batch, seed: tf.Tensor) -> Batch:
        """Returns the batch with a random view, drawn from an int32 [2] seed."""
        return self.view(batch, self._own(seed))

    @abstractmethod
    def view(self, batch: Batch, seed: tf.Tensor) -> Batch:
        """Returns the batch as `call` does, with a seed that no other kind of layer has."""

    def _own(self, seed: tf.Tensor) -> tf.Tensor:
        """Derives a seed by kind of layer, so that adding a kind leaves the rest unchanged."""
        kind = zlib.crc32(type(self).__name__.encode()) % 2**31
        return tf.random.fold_in(seed, kind)


def seeds(seed: tf.Tensor, count: int) -> list[tf.Tensor]:
    """Derives independent seeds from one."""
    return tf.unstack(tf.random.split(seed, count))


def uniform(
    seed: tf.Tensor, rows: Rows, *each: int, least: float = 0.0, most: float = 1.0
) -> tf.Tensor:
    """Draws float32 [N, *each] uniformly from least to most."""
    return rows.drawn(lambda shape: tf.random.stateless_uniform(shape, seed, least, most), *each)


def normal(seed: tf.Tensor, rows: Rows, *each: int) -> tf.Tensor:
    """Draws float32 [N, *each] from a normal distribution of mean 0 and standard deviation 1."""
    return rows.drawn(lambda shape: tf.random.stateless_normal(shape, seed), *each)


def choice(seed: tf.Tensor, rows: Rows, choices: int) -> tf.Tensor:
    """Draws int32 [N] from 0 to choices - 1."""
    return rows.drawn(lambda shape: tf.random.stateless_uniform(shape, seed, 0, choices, tf.int32))


def chance(seed: tf.Tensor, rows: Rows, probability: float) -> tf.Tensor:
    """Draws bool [N]: the images to which a view applies."""
    return uniform(seed, rows) < probability


def rows_of(batch: Batch) -> Rows:
    """Returns the rows of the batch; their number may be unknown when a graph is traced."""
    count = tf.shape(batch["images"])[0]
    return Rows(count, *tf.unstack(batch["place"])) if "place" in batch else Rows(count)


def sides_of(batch: Batch) -> tuple[int, int]:
    """Returns height and width."""
    _, height, width, _ = batch["images"].shape
    return height, width


def unknown(images: tf.Tensor) -> tf.Tensor:
    """Returns the value that marks missing pixels, in the images' own type."""
    return tf.constant(float("nan") if images.dtype.is_floating else 0, images.dtype)


def hide(batch: Batch, hidden: tf.Tensor, ignore: int) -> Batch:
    """Makes pixels, bool [N, H, W], missing in the image and ignored in the truth."""
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
    """Drops boxes with too small a visible share of their pixels; hidden is bool [N, H, W]."""
    if "boxes" not in batch:
        return batch
    height, width = sides_of(batch)
    # Sums over all pixels above and to the left of each corner; four of these give a rectangle's
    # sum.
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
    """Returns the areas [...] of boxes, float32 [..., 4], in square pixels; none is negative."""
    sides = tf.maximum(boxes[..., 2:] - boxes[..., :2], 0.0)
    return sides[..., 0] * sides[..., 1]
