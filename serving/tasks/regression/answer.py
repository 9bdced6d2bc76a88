"""Prediction of regression: a number for an image."""

from dataclasses import dataclass
from typing import Any, Self

from serving.tasks.base import AnyPrediction, Columns, Followed, Outputs, UnknownTarget, are_close
from serving.tasks.reliability import Reliability

VALUE_OUTPUT = "value"


@dataclass(frozen=True)
class NumberPrediction(AnyPrediction):
    """Number predicted for an image, in the units of the training's numbers."""

    value: float
    model_version: int | None
    reliability: Reliability | None = None

    outputs = (VALUE_OUTPUT,)

    @classmethod
    def read(cls, row: Outputs, model_version: int | None) -> Self:
        return cls(float(row[VALUE_OUTPUT]), model_version)

    @classmethod
    def columns(cls, outputs: Outputs) -> Columns:
        return {"value": outputs[VALUE_OUTPUT].reshape(-1)}

    def as_text(self, top: int) -> str:
        return f"{self.value:.6g}"

    def values(self) -> dict[str, Any]:
        return {"value": self.value}

    def difference(self, served: Self, tolerance: float) -> str:
        return "" if are_close(self.value, served.value, tolerance) else f"value {served.value:.6g}"

    @classmethod
    def follow(cls, outputs: Outputs, target: str, classes: tuple[str, ...]) -> Followed:
        if target not in ("", VALUE_OUTPUT):
            raise UnknownTarget(f"{target!r} is not a target of a number: leave it out")
        return VALUE_OUTPUT, lambda changed: changed[VALUE_OUTPUT]


PREDICTION = NumberPrediction
