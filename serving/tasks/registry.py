"""Predictions of a server as Python values: one type for each task."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from components.raster.errors import SkymillError
from components.raster.labels.targets import ignore_value
from components.raster.task import Task
from serving.contract.names import (
    BOX_CLASSES_OUTPUT,
    BOX_LABELS_OUTPUT,
    BOX_SCORES_OUTPUT,
    BOXES_OUTPUT,
    CLASS_OUTPUT,
    CLASS_RASTER_OUTPUT,
    CLASSES_OUTPUT,
    CONFIDENCE_OUTPUT,
    OUTPUTS_OF,
    PRESENT_OUTPUT,
    PROBABILITIES_OUTPUT,
    VALUE_OUTPUT,
)

#: Arrays of N rows by output name.
Outputs: TypeAlias = Mapping[str, npt.NDArray[Any]]


class AnswerError(SkymillError):
    """Outputs that match no task of the served contract."""


@dataclass(frozen=True)
class Prediction:
    """Class of an image (single_label)."""

    class_name: str
    probabilities: Mapping[str, float]
    model_version: int | None
    """None where the server does not tell: TensorFlow Serving over REST, unless one was asked."""


@dataclass(frozen=True)
class LabelsPrediction:
    """Classes present in an image, with the probabilities of all classes (multi_label)."""

    present: tuple[str, ...]
    probabilities: Mapping[str, float]
    model_version: int | None


@dataclass(frozen=True)
class NumberPrediction:
    """Number predicted for an image (regression)."""

    value: float
    model_version: int | None


@dataclass(frozen=True, eq=False)
class ClassRasterPrediction:
    """A class for each pixel of an image (segmentation).

    Attributes:
        class_raster: (H, W) indices into `classes`, in the shape of the model's input.
        confidence: (H, W) float32: the probability of that class; 0 where the pixel is not valid.
        classes: the names.
        ignore: value of `class_raster` where the pixel is not valid.
    """

    class_raster: npt.NDArray[np.integer]
    confidence: npt.NDArray[np.float32]
    classes: tuple[str, ...]
    ignore: int
    model_version: int | None

    @property
    def shares(self) -> dict[str, float]:
        """Share of the valid pixels, by class."""
        valid = self.class_raster[self.class_raster != self.ignore]
        counts = np.bincount(valid, minlength=len(self.classes))
        return {
            name: float(count / max(valid.size, 1))
            for name, count in zip(self.classes, counts, strict=True)
        }


@dataclass(frozen=True)
class FoundObject:
    """An object in an image; edges in pixels of the model's input."""

    class_name: str
    score: float
    ymin: float
    xmin: float
    ymax: float
    xmax: float


@dataclass(frozen=True)
class ObjectsPrediction:
    """Objects in an image, in falling order of score (detection)."""

    objects: tuple[FoundObject, ...]
    model_version: int | None


AnyPrediction: TypeAlias = (
    Prediction | LabelsPrediction | NumberPrediction | ClassRasterPrediction | ObjectsPrediction
)


def read_predictions(
    outputs: Outputs, count: int, model_version: int | None
) -> list[AnyPrediction]:
    """Converts outputs to a prediction for each of `count` images; output names give the task.

    Raises:
        AnswerError: the outputs match no task, or have another number of images.
    """
    task = next((task for task, names in OUTPUTS_OF.items() if set(names) <= set(outputs)), None)
    if task is None:
        raise AnswerError(
            f"The model gives {', '.join(sorted(outputs))}: it does not follow the served "
            "contract. Use predict_raw for it."
        )
    sizes = {len(outputs[name]) for name in OUTPUTS_OF[task]}
    if sizes != {count}:
        raise AnswerError(f"The model gave {max(sizes)} answers for {count} images.")
    read = _READERS[task]
    rows = ({name: outputs[name][index] for name in OUTPUTS_OF[task]} for index in range(count))
    return [read(row, model_version) for row in rows]


def _one_label(row: Outputs, version: int | None) -> Prediction:
    return Prediction(_text(row[CLASS_OUTPUT]), _named(row), version)


def _labels(row: Outputs, version: int | None) -> LabelsPrediction:
    present = zip(_names(row), row[PRESENT_OUTPUT].tolist(), strict=True)
    return LabelsPrediction(tuple(name for name, there in present if there), _named(row), version)


def _number(row: Outputs, version: int | None) -> NumberPrediction:
    return NumberPrediction(float(row[VALUE_OUTPUT]), version)


def _class_raster(row: Outputs, version: int | None) -> ClassRasterPrediction:
    classes = _names(row)
    raster, confidence = row[CLASS_RASTER_OUTPUT], row[CONFIDENCE_OUTPUT]
    return ClassRasterPrediction(raster, confidence, classes, ignore_value(len(classes)), version)


def _objects(row: Outputs, version: int | None) -> ObjectsPrediction:
    found = zip(
        row[BOX_LABELS_OUTPUT].tolist(),
        row[BOX_CLASSES_OUTPUT].tolist(),
        row[BOX_SCORES_OUTPUT].tolist(),
        row[BOXES_OUTPUT].tolist(),
        strict=True,
    )
    objects = (
        FoundObject(name.decode(), score, *edges)
        for label, name, score, edges in found
        if label >= 0
    )
    return ObjectsPrediction(tuple(sorted(objects, key=lambda it: -it.score)), version)


def _text(value: Any) -> str:
    """Decodes a string element of an array."""
    return bytes(value).decode()


def _named(row: Outputs) -> dict[str, float]:
    return dict(zip(_names(row), row[PROBABILITIES_OUTPUT].tolist(), strict=True))


def _names(row: Outputs) -> tuple[str, ...]:
    return tuple(name.decode() for name in row[CLASSES_OUTPUT].tolist())


_READERS: dict[Task, Callable[[Outputs, int | None], AnyPrediction]] = {
    "single_label": _one_label,
    "multi_label": _labels,
    "regression": _number,
    "segmentation": _class_raster,
    "detection": _objects,
}
