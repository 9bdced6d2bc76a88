"""Conversion between the batches of Keras and those of the augmentation."""

from typing import Any, Protocol

import tensorflow as tf

from trainer.augment.augmentation import Augmentation
from trainer.augment.batch import Batch
from trainer.data.transformed import BatchTransform


class TargetsOfBatch(Protocol):
    """Puts a task's targets into the augmentation's batch, and takes them out; see `Objective`."""

    def to_views(self, images: tf.Tensor, targets: Any) -> Batch:
        """Returns a batch of images with the targets that follow them."""

    def from_views(self, batch: Batch, targets: Any) -> Any:
        """Returns the targets of an augmented batch, given those before it."""


def following(augmentation: Augmentation, task: TargetsOfBatch) -> BatchTransform:
    """Returns the transform that augments a batch's inputs and lets its targets follow."""

    def change(
        batch: tuple[Any, ...], seed: tf.Tensor, place: tf.Tensor | None = None
    ) -> tuple[Any, ...]:
        images, targets, *weights = batch
        views = task.to_views(images, targets)
        if place is not None:
            views["place"] = place
        augmented = augmentation(views, seed=seed)
        return (augmented["images"], task.from_views(augmented, targets), *weights)

    return change
