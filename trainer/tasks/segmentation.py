"""Segmentation: feature maps, a decoder, and a softmax at every pixel."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import keras
import tensorflow as tf

from components.raster.example import MASK_ENCODED
from components.raster.image import ImageSpec
from components.raster.labels.targets import ignore_value
from components.raster.task import Task
from serving.contract.contract import Contract
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
from trainer.tasks.config import SegmentationOptions


@dataclass(frozen=True)
class Segmentation:
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

    def head(self, features: Features, image: ImageSpec, dropout: float) -> Any:
        decoder = self.options.decoder
        if isinstance(decoder, UNet):
            x = unet(features, decoder, dropout)
        else:
            x = deeplab(features, image.height_px, decoder, dropout)
        logits = keras.layers.Conv2D(len(self.classes), 1, name="logits", dtype="float32")(x)
        return resized(logits, image.height_px, image.width_px)

    def decode(self, outputs: Any) -> Any:
        return outputs

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
