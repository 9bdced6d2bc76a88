"""The interface of every task to the rest of the trainer."""

from typing import Any, ClassVar, Protocol

import keras

from components.raster.image import ImageSpec
from components.raster.task import Task
from serving.contract.contract import Contract
from trainer.data.targets import TargetReader
from trainer.models.features import Features


class Objective(TargetReader, Protocol):
    """Training objective of a task: head, loss, metrics and served outputs.

    Attributes:
        task: name of the task.
        pooled: whether the head takes one vector an image, or features at several strides.
        monitors: names of the metrics that early stopping may watch, beside `loss`.
    """

    task: ClassVar[Task]
    pooled: ClassVar[bool]

    @property
    def monitors(self) -> tuple[str, ...]: ...

    def head(self, features: Features, image: ImageSpec, dropout: float) -> Any:
        """Builds the outputs, as layers on the features of a batch."""

    def decode(self, outputs: Any) -> Any:
        """Converts outputs to served outputs, as layers; often the identity."""

    def loss(self) -> keras.losses.Loss:
        """Returns the loss of outputs against targets."""

    def metrics(self) -> list[keras.metrics.Metric]:
        """Returns fresh metrics; logs use their names, and each split is measured with them."""

    def contract(self, image: ImageSpec) -> Contract:
        """Returns the inputs and outputs of the served model."""
