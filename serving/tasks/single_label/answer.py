"""Prediction of single-label classification: the class of an image."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from serving.tasks.base import (
    CLASSES_OUTPUT,
    PROBABILITIES_OUTPUT,
    AnyPrediction,
    Columns,
    Followed,
    Outputs,
    difference_of_probabilities,
    follow_class,
    probabilities_of,
    ranked,
    text_of,
)
from serving.tasks.reliability import Reliability

CLASS_OUTPUT = "class"


@dataclass(frozen=True)
class Prediction(AnyPrediction):
    """Class of an image, with the probabilities of all classes."""

    class_name: str
    probabilities: Mapping[str, float]
    model_version: int | None
    reliability: Reliability | None = None

    outputs = (CLASS_OUTPUT, PROBABILITIES_OUTPUT, CLASSES_OUTPUT)

    @classmethod
    def read(cls, row: Outputs, model_version: int | None) -> Self:
        return cls(text_of(row[CLASS_OUTPUT]), probabilities_of(row), model_version)

    @classmethod
    def columns(cls, outputs: Outputs) -> Columns:
        probabilities = outputs[PROBABILITIES_OUTPUT]
        return {
            "class": outputs[CLASS_OUTPUT],
            "confidence": probabilities.max(axis=1),
            "probabilities": probabilities,
        }

    def as_text(self, top: int) -> str:
        return ranked(self.probabilities, top)

    def values(self) -> dict[str, Any]:
        return {"class": self.class_name, "probabilities": dict(self.probabilities)}

    def difference(self, served: Self, tolerance: float) -> str:
        probabilities = served.probabilities
        if found := difference_of_probabilities(self.probabilities, probabilities, tolerance):
            return found
        most = max(probabilities.values()) - tolerance
        if probabilities.get(served.class_name, -math.inf) < most:
            return f"class {served.class_name!r} is not the most probable one"
        return ""

    @classmethod
    def follow(cls, outputs: Outputs, target: str, classes: tuple[str, ...]) -> Followed:
        return follow_class(outputs, target, classes)


PREDICTION = Prediction
