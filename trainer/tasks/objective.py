"""The one shape that every task has for the rest of the trainer."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol, TypeAlias

import keras
import tensorflow as tf

from components.raster.image import ImageSpec
from components.raster.task import Task
from serving.contract import Contract
from trainer.models.features import Features

#: How a feature of an example is parsed, as `tf.io.parse_example` takes it.
Parsing: TypeAlias = tf.io.FixedLenFeature | tf.io.RaggedFeature


class Objective(Protocol):
    """What is learnt of each image, and how well it was learnt.

    Attributes:
        task: its name.
        pooled: whether the head takes one vector an image, or features at several strides.
        monitors: names of the metrics that early stopping may watch, beside `loss`.
    """

    task: ClassVar[Task]
    pooled: ClassVar[bool]

    @property
    def monitors(self) -> tuple[str, ...]: ...

    @property
    def parsing(self) -> Mapping[str, Parsing]:
        """What of an example the targets follow from, beside the image."""

    def count(self, files: Sequence[str]) -> int:
        """How many examples there are; no image is decoded.

        Raises:
            DataError: the files cannot be read, or hold a target that cannot be learnt.
        """

    def targets(self, parsed: Mapping[str, Any], image: ImageSpec) -> Any:
        """What the loss compares the outputs with: tensors of N rows, in any nest.

        Args:
            parsed: tensors [N, ...] of the features that `parsing` names.
            image: how the images of the same rows met the model; masks and boxes follow.
        """

    def head(self, features: Features, image: ImageSpec, dropout: float) -> Any:
        """The outputs, as layers on the features of a batch."""

    def decode(self, outputs: Any) -> Any:
        """What is served of the outputs, as layers; mostly the outputs as they are."""

    def loss(self) -> keras.losses.Loss:
        """Of outputs against targets."""

    def metrics(self) -> list[keras.metrics.Metric]:
        """Fresh ones, whose names are those that logs use; each split is measured with them."""

    def contract(self, image: ImageSpec) -> Contract:
        """What the served model will take and answer."""
