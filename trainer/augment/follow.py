"""Conversion between the batches of Keras and those of the augmentation, by task."""

from typing import Any

import tensorflow as tf

from components.raster.task import Task
from trainer.augment.augmentation import Augmentation
from trainer.augment.batch import Batch
from trainer.data.changed import Change


def following(augmentation: Augmentation, task: Task) -> Change:
    """Returns the transform that augments a batch's inputs and lets its targets follow."""

    def change(
        batch: tuple[Any, ...], seed: tf.Tensor, place: tf.Tensor | None = None
    ) -> tuple[Any, ...]:
        images, targets, *weights = batch
        shown = _with_truth(images, targets, task)
        if place is not None:
            shown["place"] = place
        seen = augmentation(shown, seed=seed)
        return (seen["images"], _truth_of(seen, targets, task), *weights)

    return change


def _with_truth(images: tf.Tensor, targets: Any, task: Task) -> Batch:
    if task == "segmentation":
        return {"images": images, "masks": targets}
    if task == "detection":
        # The layout of `trainer.tasks.detection`: the edges, and a class or -1, in one tensor.
        labels = tf.cast(targets[..., 4], tf.int32)
        return {"images": images, "boxes": targets[..., :4], "classes": labels}
    if not targets.dtype.is_floating:
        return {"images": images}  # class indices cannot be mixed
    return {"images": images, "targets": targets}


def _truth_of(seen: Batch, targets: Any, task: Task) -> Any:
    if task == "segmentation":
        return seen["masks"]
    if task == "detection":
        labels = tf.cast(seen["classes"], tf.float32)
        return tf.concat([seen["boxes"], labels[..., tf.newaxis]], axis=-1)
    return seen.get("targets", targets)
