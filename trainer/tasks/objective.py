"""Training objective of a task: the interface, and what most tasks have in common."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Self, TypeVar

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from components.raster.image import ImageSpec
from components.raster.task import Task
from serving.contract.contract import Contract
from trainer.augment.batch import Batch
from trainer.data.class_counts import ClassCounts
from trainer.data.targets import Parsing
from trainer.imbalance.emphasis import Emphasis
from trainer.models.features import Features

Floats = npt.NDArray[np.floating]
Options = TypeVar("Options")


@dataclass(frozen=True)
class ObjectiveInputs(Generic[Options]):
    """Options and data from which an objective is built.

    Attributes:
        options: options of the task.
        classes: names, in the order of their indices; empty for a task without classes.
        image: spec of the model's input.
        train_files: files of the train split, for statistics of the targets.
        smoothing: share of the truth spread over all classes.
        emphasis: emphasis on rare and difficult classes.
    """

    options: Options
    classes: tuple[str, ...]
    image: ImageSpec
    train_files: Sequence[str] = ()
    smoothing: float = 0.0
    emphasis: Emphasis = field(default_factory=Emphasis)


class Objective(ABC):
    """Training objective of a task: targets, head, loss, metrics and served outputs.

    It is a `TargetReader`, and the augmentation's `TargetsOfBatch`.

    Attributes:
        task: name of the task.
        pooled: whether the head takes one vector an image, or features at several strides.
        monitors: names of the metrics that early stopping may watch, besides `loss`.
    """

    task: ClassVar[Task]
    pooled: ClassVar[bool] = True
    monitors: ClassVar[tuple[str, ...]] = ()

    @classmethod
    @abstractmethod
    def build(cls, inputs: ObjectiveInputs[Any]) -> Self:
        """Builds the objective; may read the train split's targets."""

    @classmethod
    def count_classes(cls, files: Sequence[str], classes: Sequence[str]) -> ClassCounts | None:
        """Counts the classes of a split in one pass; None for a task without classes.

        Raises:
            DataError: the files are empty, or cannot be read.
        """
        return None

    @property
    @abstractmethod
    def parsing(self) -> Mapping[str, Parsing]:
        """Features of an example, besides the image, from which the targets are computed."""

    @abstractmethod
    def count(self, files: Sequence[str]) -> int:
        """Counts the examples of files, as `TargetReader` does."""

    @abstractmethod
    def targets(self, parsed: Mapping[str, Any], image: ImageSpec) -> Any:
        """Computes the targets of the loss, as `TargetReader` does."""

    def to_views(self, images: tf.Tensor, targets: Any) -> Batch:
        """Returns a batch for the augmentation; by default shares and numbers mix with images."""
        if not targets.dtype.is_floating:
            return {"images": images}  # class indices cannot be mixed
        return {"images": images, "targets": targets}

    def from_views(self, batch: Batch, targets: Any) -> Any:
        """Returns the targets of an augmented batch, given those before it."""
        return batch.get("targets", targets)

    @abstractmethod
    def head(self, features: Features, image: ImageSpec, dropout: float) -> Any:
        """Builds the outputs, as layers on the features of a batch."""

    def decode(self, outputs: Any) -> Any:
        """Converts outputs to served outputs, as layers; by default the identity."""
        return outputs

    @abstractmethod
    def loss(self) -> keras.losses.Loss:
        """Returns the loss of outputs against targets."""

    @abstractmethod
    def metrics(self) -> list[keras.metrics.Metric]:
        """Returns fresh metrics; logs use their names, and each split is measured with them."""

    @abstractmethod
    def contract(self, image: ImageSpec) -> Contract:
        """Returns the inputs and outputs of the served model."""


class ScalableObjective(Objective):
    """Objective whose logits a temperature may divide; its options have `scales`."""

    @abstractmethod
    def log_losses(self, logits: Floats, targets: Floats) -> Floats:
        """Computes the log loss of each example [N]."""
