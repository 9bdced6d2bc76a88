"""The one shape that every task has for the rest of the trainer."""

from typing import Any, ClassVar, Protocol

import keras

from components.raster.image import ImageSpec
from components.raster.task import Task
from serving.contract.contract import Contract
from trainer.data.targets import TargetReader
from trainer.models.features import Features


class Objective(TargetReader, Protocol):
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
