"""A batch as the layers take and give it, and what they share."""

import zlib
from typing import Any, NotRequired, TypedDict

import keras
import tensorflow as tf


class Batch(TypedDict):
    """A batch of N images (H, W, C) with the truth that follows them.

    Attributes:
        images: uint8 (photographs), or float32 with NaN where nothing is known (rasters).
        targets: float [N, K] or [N]: soft labels or numbers, mixed as images are.
        masks: integers [N, H, W]: class indices and an ignore value.
        boxes: float32 [N, M, 4]: top, left, bottom, right in pixels, edges included.
        classes: int [N, M] of the boxes; -1 where there is no box.
    """

    images: tf.Tensor
    targets: NotRequired[tf.Tensor]
    masks: NotRequired[tf.Tensor]
    boxes: NotRequired[tf.Tensor]
    classes: NotRequired[tf.Tensor]


class BatchLayer(keras.layers.Layer):
    """A random view. It keeps no state: what it draws follows from the seed it is called with."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(trainable=False, autocast=False, dtype="float32", **kwargs)

    def call(self, batch: Batch, seed: tf.Tensor) -> Batch:
        """The batch seen anew; int32 [2] to draw from."""
        return self.view(batch, self._own(seed))

    def view(self, batch: Batch, seed: tf.Tensor) -> Batch:
        """As `call`, with a seed that no other kind of layer has."""
        raise NotImplementedError

    def _own(self, seed: tf.Tensor) -> tf.Tensor:
        """By kind and not by place, so that one more layer changes nothing for the others."""
        kind = zlib.crc32(type(self).__name__.encode()) % 2**31
        return tf.random.fold_in(seed, kind)


def seeds(seed: tf.Tensor, count: int) -> list[tf.Tensor]:
    """Independent seeds from one."""
    return tf.unstack(tf.random.split(seed, count))


def uniform(
    seed: tf.Tensor, shape: tuple[Any, ...], least: float = 0.0, most: float = 1.0
) -> tf.Tensor:
    """float32 from least to most."""
    return tf.random.stateless_uniform(shape, seed, least, most)


def chance(seed: tf.Tensor, count: tf.Tensor, probability: float) -> tf.Tensor:
    """bool [N]: which images it happens to."""
    return uniform(seed, (count,)) < probability


def count_of(batch: Batch) -> tf.Tensor:
    """The number of images: a graph may not know it beforehand."""
    return tf.shape(batch["images"])[0]


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
