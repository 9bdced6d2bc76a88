"""Prediction of multi-label classification: the classes present in an image."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from serving.tasks.base import (
    CLASSES_OUTPUT,
    PROBABILITIES_OUTPUT,
    AnyPrediction,
    Columns,
    Followed,
    Lists,
    Outputs,
    class_names,
    difference_of_probabilities,
    follow_class,
    probabilities_of,
    ranked,
)
from serving.tasks.reliability import Reliability

PRESENT_OUTPUT = "present"


@dataclass(frozen=True)
class LabelsPrediction(AnyPrediction):
    """Classes present in an image, with the probabilities of all classes."""

    present: tuple[str, ...]
    probabilities: Mapping[str, float]
    model_version: int | None
    reliability: Reliability | None = None

    outputs = (PROBABILITIES_OUTPUT, CLASSES_OUTPUT, PRESENT_OUTPUT)

    @classmethod
    def read(cls, row: Outputs, model_version: int | None) -> Self:
        present = zip(class_names(row), row[PRESENT_OUTPUT].tolist(), strict=True)
        return cls(
            tuple(name for name, there in present if there), probabilities_of(row), model_version
        )

    @classmethod
    def columns(cls, outputs: Outputs) -> Columns:
        names, present = outputs[CLASSES_OUTPUT], outputs[PRESENT_OUTPUT].astype(bool)
        return {
            "present": Lists(names[present], present.sum(axis=1)),
            "probabilities": outputs[PROBABILITIES_OUTPUT],
        }

    def as_text(self, top: int) -> str:
        there = {name: self.probabilities[name] for name in self.present}
        return ranked(there, len(there)) or "none"

    def values(self) -> dict[str, Any]:
        return {"present": list(self.present), "probabilities": dict(self.probabilities)}

    def difference(self, served: Self, tolerance: float) -> str:
        if found := difference_of_probabilities(
            self.probabilities, served.probabilities, tolerance
        ):
            return found
        there = {name: p for name, p in self.probabilities.items() if name in self.present}
        absent = {name: p for name, p in self.probabilities.items() if name not in self.present}
        # The threshold is between these two; only a class within the tolerance of it may cross it.
        least, most = min(there.values(), default=1.0), max(absent.values(), default=0.0)
        lost = any(there[name] > least + tolerance for name in there.keys() - set(served.present))
        new = any(absent[name] < most - tolerance for name in absent.keys() & set(served.present))
        if lost or new:
            return f"classes present: {list(served.present)}, not {list(self.present)}"
        return ""

    @classmethod
    def follow(cls, outputs: Outputs, target: str, classes: tuple[str, ...]) -> Followed:
        return follow_class(outputs, target, classes)


PREDICTION = LabelsPrediction
