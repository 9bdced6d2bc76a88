"""Drawing of a task's predictions beside the truth, for the pictures of a training."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from components.raster.pictures.sheet import Card
from components.raster.pictures.stretch import Picture
from serving.contract.contract import Contract

#: The features of a `tf.train.Example`, by name.
ExampleFeatures: TypeAlias = Any
Indices: TypeAlias = npt.NDArray[np.integer]

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class PredictedExample(Generic[T]):
    """One example of the eval split with its prediction.

    Attributes:
        pixels: the model's input (H, W, C).
        truth: in the form of the task's `Board`.
        answer: the row of each served output.
    """

    pixels: npt.NDArray[Any]
    truth: T
    answer: dict[str, npt.NDArray[Any]]


class Board(ABC, Generic[T]):
    """Draws the examples of a task.

    Attributes:
        cards_per_example: 1, or 2 where truth and prediction are pictures: truth left.
    """

    cards_per_example: ClassVar[int] = 1

    @abstractmethod
    def truth(self, features: ExampleFeatures, contract: Contract) -> T:
        """Reads the truth of an example, on the model's own grid."""

    @abstractmethod
    def cards(
        self, picture: Picture, example: PredictedExample[T], contract: Contract
    ) -> list[Card]:
        """Draws an example on a picture of its pixels, in `cards_per_example` cards."""

    def difference(
        self, picture: Picture, example: PredictedExample[T], contract: Contract
    ) -> Card | None:
        """Draws where truth and prediction differ; None for a task whose cards show that."""
        return None

    def decisions(
        self, example: PredictedExample[T], class_count: int
    ) -> tuple[Indices, Indices] | None:
        """Returns the true and the predicted class, [M], of each image or pixel with both.

        None for a task without a confusion of classes.
        """
        return None
