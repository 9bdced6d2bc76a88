"""Views that combine two images of a batch, and their targets with them."""

from typing import Any

import tensorflow as tf

from trainer.augment.batch import Batch, BatchLayer, Rows, chance, rows_of, seeds, sides_of, uniform
from trainer.augment.config import Cutmix, Mixup
from trainer.augment.cover import rectangles, within
from trainer.augment.light import as_type


class RandomMixup(BatchLayer):
    """Weighted mean of an image and another, known only where both are."""

    def __init__(self, mixup: Mixup, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mixup = mixup

    def view(self, batch: Batch, seed: tf.Tensor) -> Batch:
        images, rows = batch["images"], rows_of(batch)
        for_some, for_share, for_partner = seeds(seed, 3)
        some = chance(for_some, rows, self.mixup.probability)
        share = tf.where(some, _beta(for_share, rows, self.mixup.alpha), 1.0)
        partner = _partners(for_partner, rows.count)
        values = tf.cast(images, tf.float32)
        other = tf.gather(values, partner)
        weight = share[:, None, None, None]
        # 0 times NaN is NaN: an image that is not mixed must exclude its partner altogether.
        mixed = tf.where(weight < 1, weight * values + (1 - weight) * other, values)
        return {**_mixed_targets(batch, share, partner), "images": as_type(mixed, images)}

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mixup": self.mixup.model_dump()}


class RandomCutmix(BatchLayer):
    """Rectangle pasted from another image; masks follow pixel by pixel."""

    def __init__(self, cutmix: Cutmix, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.cutmix = cutmix

    def view(self, batch: Batch, seed: tf.Tensor) -> Batch:
        rows, sides = rows_of(batch), sides_of(batch)
        for_some, for_share, for_partner, for_place = seeds(seed, 4)
        some = chance(for_some, rows, self.cutmix.probability)
        side = tf.sqrt(1 - _beta(for_share, rows, self.cutmix.alpha))
        size = tf.tile(tf.where(some, side, 0.0)[:, None], (1, 2))
        rectangle = rectangles(uniform(for_place, rows, 2), size, sides)
        inside, partner = within(rectangle, sides), _partners(for_partner, rows.count)
        # The rectangle has whole pixels: the share follows from its actual area.
        share = 1 - tf.reduce_mean(tf.cast(inside, tf.float32), (1, 2))
        images = batch["images"]
        changed = _mixed_targets(batch, share, partner)
        changed["images"] = tf.where(inside[..., None], tf.gather(images, partner), images)
        if "masks" in batch:
            changed["masks"] = tf.where(inside, tf.gather(batch["masks"], partner), batch["masks"])
        return changed

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "cutmix": self.cutmix.model_dump()}


def _beta(seed: tf.Tensor, rows: Rows, alpha: float) -> tf.Tensor:
    """Draws float32 [N] from Beta(alpha, alpha), as a ratio of gamma variates."""
    one, other = (_gamma(own, rows, alpha) for own in seeds(seed, 2))
    # Both can be 0 in float32 where alpha is small.
    return tf.where(one + other > 0, tf.math.divide_no_nan(one, one + other), 0.5)


def _gamma(seed: tf.Tensor, rows: Rows, alpha: float) -> tf.Tensor:
    return rows.drawn(lambda shape: tf.random.stateless_gamma(shape, seed, alpha))


def _partners(seed: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """Returns a partner for each image of this process, int32 [N]: all rotate by one distance."""
    by = tf.random.stateless_uniform((), seed, 1, tf.maximum(count, 2), tf.int32)
    return (tf.range(count) + by) % count


def _mixed_targets(batch: Batch, share: tf.Tensor, partner: tf.Tensor) -> Batch:
    changed: Batch = {**batch}
    if "targets" in batch:
        targets = batch["targets"]
        weight = tf.reshape(share, tf.concat([[-1], tf.ones_like(tf.shape(targets)[1:])], 0))
        changed["targets"] = weight * targets + (1 - weight) * tf.gather(targets, partner)
    return changed
