"""Segmentation: feature maps, a decoder, and a softmax at every pixel."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from components.raster.example import MASK_ENCODED
from components.raster.fitting import fit_mask
from components.raster.image import ImageSpec
from components.raster.labels.targets import ignore_value, mask_dtype
from components.raster.pictures.colours import WRONG_RGB
from components.raster.pictures.sheet import Card, with_mask
from components.raster.pictures.stretch import Picture
from components.raster.task import Task
from serving.contract.contract import Contract
from serving.tasks.segmentation.answer import CLASS_RASTER_OUTPUT
from trainer.augment.batch import Batch
from trainer.data.class_counts import ClassCounts, count_pixels
from trainer.data.examples import count_with
from trainer.data.masks import target_masks
from trainer.data.targets import Parsing
from trainer.losses.pixels import PixelLoss
from trainer.metrics.pixels import MeanIou, PixelAccuracy
from trainer.models.blocks import resized
from trainer.models.decoder_config import UNet
from trainer.models.deeplab import deeplab
from trainer.models.features import Features
from trainer.models.unet import unet
from trainer.tasks.board import Board, ExampleFeatures, Indices, PredictedExample
from trainer.tasks.config import SegmentationOptions
from trainer.tasks.objective import Objective, ObjectiveInputs


@dataclass(frozen=True)
class Segmentation(Objective):
    """Objective of segmentation. Targets are indices [N, H, W], outputs logits [N, H, W, K].

    Loss and metrics exclude pixels with the ignore value: unlabelled, without data in the image
    (ingest writes both into the mask), or in the padding.

    Attributes:
        weights: weights of the classes in the cross-entropy; None: equal.
        gamma: exponent of the focal loss; None: cross-entropy.
    """

    classes: tuple[str, ...]
    options: SegmentationOptions
    weights: tuple[float, ...] | None = None
    gamma: float | None = None
    task: ClassVar[Task] = "segmentation"
    pooled: ClassVar[bool] = False
    monitors: ClassVar[tuple[str, ...]] = ("mean_iou", "pixel_accuracy")

    @classmethod
    def build(cls, inputs: ObjectiveInputs[SegmentationOptions]) -> "Segmentation":
        emphasis = inputs.emphasis
        return cls(inputs.classes, inputs.options, emphasis.loss_weights, emphasis.gamma)

    @classmethod
    def count_classes(cls, files: Sequence[str], classes: Sequence[str]) -> ClassCounts:
        return count_pixels(files, classes)

    @property
    def ignore(self) -> int:
        """Value of mask pixels without truth."""
        return ignore_value(len(self.classes))

    @property
    def parsing(self) -> Mapping[str, Parsing]:
        return {MASK_ENCODED: tf.io.FixedLenFeature([], tf.string)}

    def count(self, files: Sequence[str]) -> int:
        return count_with(files, MASK_ENCODED)

    def targets(self, parsed: Mapping[str, Any], image: ImageSpec) -> Any:
        return target_masks(parsed[MASK_ENCODED], image, len(self.classes))

    def to_views(self, images: tf.Tensor, targets: Any) -> Batch:
        return {"images": images, "masks": targets}

    def from_views(self, batch: Batch, targets: Any) -> Any:
        return batch["masks"]

    def head(self, features: Features, image: ImageSpec, dropout: float) -> Any:
        decoder = self.options.decoder
        if isinstance(decoder, UNet):
            x = unet(features, decoder, dropout)
        else:
            x = deeplab(features, image.height_px, decoder, dropout)
        logits = keras.layers.Conv2D(len(self.classes), 1, name="logits", dtype="float32")(x)
        return resized(logits, image.height_px, image.width_px)

    def loss(self) -> keras.losses.Loss:
        parts = self.options.cross_entropy, self.options.dice
        return PixelLoss(self.ignore, *parts, self.weights, self.gamma or 0.0)

    def metrics(self) -> list[keras.metrics.Metric]:
        count = len(self.classes)
        return [
            MeanIou(count, self.ignore, "mean_iou"),
            PixelAccuracy(count, self.ignore, "pixel_accuracy"),
        ]

    def contract(self, image: ImageSpec) -> Contract:
        return Contract(image=image, task=self.task, classes=self.classes)


Mask = npt.NDArray[np.integer]


class SegmentationBoard(Board[Mask]):
    """Draws mask and class raster; the truth is a mask [H, W] of indices and the ignore value."""

    cards_per_example = 2

    def truth(self, features: ExampleFeatures, contract: Contract) -> Mask:
        encoded = features[MASK_ENCODED].bytes_list.value[0]
        dtype = tf.as_dtype(mask_dtype(len(contract.classes)))
        mask = tf.io.decode_png(encoded, channels=1, dtype=dtype).numpy()[..., 0]
        return fit_mask(mask, contract.image, ignore_value(len(contract.classes)))

    def cards(
        self, picture: Picture, example: PredictedExample[Mask], contract: Contract
    ) -> list[Card]:
        ignore = ignore_value(len(contract.classes))
        raster, mask = example.answer[CLASS_RASTER_OUTPUT], example.truth
        both = (mask != ignore) & (raster != ignore)
        share = (raster == mask)[both].mean() if both.any() else 0.0
        text = f"answer: {share:.0%} right" if both.any() else "answer: no truth to compare with"
        return [
            Card(with_mask(picture, mask, ignore), "truth"),
            Card(with_mask(picture, raster, ignore), text),
        ]

    def difference(
        self, picture: Picture, example: PredictedExample[Mask], contract: Contract
    ) -> Card:
        """Draws wrong pixels in a strong colour; the others faintly, and black without truth."""
        ignore = ignore_value(len(contract.classes))
        raster, mask = example.answer[CLASS_RASTER_OUTPUT], example.truth
        both = (mask != ignore) & (raster != ignore)
        wrong = both & (raster != mask)
        drawn = np.where(both[..., np.newaxis], picture // 2 + 127, 0).astype(np.uint8)
        drawn[wrong] = WRONG_RGB
        share = wrong.sum() / max(both.sum(), 1)
        return Card(drawn, f"difference: {share:.0%} wrong")

    def decisions(
        self, example: PredictedExample[Mask], class_count: int
    ) -> tuple[Indices, Indices]:
        true, predicted = example.truth, example.answer[CLASS_RASTER_OUTPUT]
        both = (true < class_count) & (predicted < class_count)
        return true[both], predicted[both]


OBJECTIVE = Segmentation
BOARD = SegmentationBoard()
