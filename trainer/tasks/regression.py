"""Regression of a number per image, computed in deviations and served in units."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import keras
import tensorflow as tf

from components.raster.example import NUMBER
from components.raster.image import ImageSpec
from components.raster.pictures.sheet import Card
from components.raster.pictures.stretch import Picture
from components.raster.task import Task
from serving.contract.contract import Contract
from serving.tasks.regression.answer import VALUE_OUTPUT
from trainer.data.examples import NumberSpread, spread_of
from trainer.data.targets import Parsing
from trainer.models.features import Features
from trainer.models.heads import dense
from trainer.tasks.board import Board, ExampleFeatures, PredictedExample
from trainer.tasks.config import RegressionOptions
from trainer.tasks.objective import Objective, ObjectiveInputs


@dataclass(frozen=True)
class Regression(Objective):
    """Objective of regression. Targets and outputs are float32 [N, 1], both in the user's units.

    The head's last layer undoes a standardisation by the train split's mean and deviation, and the
    loss measures errors in deviations. The optimizer thus sees numbers of size 1 in any units,
    while metrics and the served model use the user's units.

    Attributes:
        spread: mean and deviation of the train split's numbers.
        kind: `mse`, or `huber` (Huber, 1964), whose delta is one deviation.
    """

    spread: NumberSpread
    kind: Literal["huber", "mse"]
    task: ClassVar[Task] = "regression"
    monitors: ClassVar[tuple[str, ...]] = ("mae", "rmse")

    @classmethod
    def build(cls, inputs: ObjectiveInputs[RegressionOptions]) -> "Regression":
        return cls(spread_of(inputs.train_files, NUMBER), inputs.options.loss)

    @property
    def parsing(self) -> Mapping[str, Parsing]:
        return {NUMBER: tf.io.FixedLenFeature([], tf.float32)}

    def count(self, files: Sequence[str]) -> int:
        return spread_of(files, NUMBER).examples

    def targets(self, parsed: Mapping[str, Any], image: ImageSpec) -> Any:
        return parsed[NUMBER][:, tf.newaxis]

    def head(self, features: Features, image: ImageSpec, dropout: float) -> Any:
        standardised = dense(features, 1, dropout, "standardised")
        scale, offset = self.spread.unit, self.spread.mean
        return keras.layers.Rescaling(scale, offset, name="value", dtype="float32")(standardised)

    def loss(self) -> keras.losses.Loss:
        inner = keras.losses.Huber() if self.kind == "huber" else keras.losses.MeanSquaredError()
        return InUnits(inner, self.spread.unit)

    def metrics(self) -> list[keras.metrics.Metric]:
        return [
            keras.metrics.MeanAbsoluteError("mae"),
            keras.metrics.RootMeanSquaredError("rmse"),
        ]

    def contract(self, image: ImageSpec) -> Contract:
        return Contract(image=image, task=self.task, classes=())


class InUnits(keras.losses.Loss):
    """A loss of values divided by a unit."""

    def __init__(self, inner: keras.losses.Loss, unit: float) -> None:
        super().__init__(name=inner.name)
        self._inner, self._unit = inner, unit

    def call(self, truth: Any, outputs: Any) -> Any:
        """Computes one loss an image, [N]."""
        return self._inner.call(truth / self._unit, outputs / self._unit)


class RegressionBoard(Board[float]):
    """Draws an image with its number; the truth is the number."""

    def truth(self, features: ExampleFeatures, contract: Contract) -> float:
        return float(features[NUMBER].float_list.value[0])

    def cards(
        self, picture: Picture, example: PredictedExample[float], contract: Contract
    ) -> list[Card]:
        return [Card(picture, f"{example.truth:.4g}: {float(example.answer[VALUE_OUTPUT]):.4g}")]


OBJECTIVE = Regression
BOARD = RegressionBoard()
