"""Prediction of segmentation: a class for each pixel of an image."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from components.raster.labels.targets import ignore_value
from serving.tasks.base import (
    CLASSES_OUTPUT,
    AnyPrediction,
    Columns,
    Followed,
    Outputs,
    class_names,
    index_of_target,
    ranked,
)
from serving.tasks.reliability import Reliability
from serving.tasks.segmentation.planes import CLASS_PROBABILITIES_OUTPUT

CLASS_RASTER_OUTPUT = "class_raster"
CONFIDENCE_OUTPUT = "confidence"


@dataclass(frozen=True, eq=False)
class ClassRasterPrediction(AnyPrediction):
    """A class for each pixel of an image.

    Attributes:
        class_raster: (H, W) indices into `classes`, in the shape of the model's input.
        confidence: (H, W) float32: the probability of that class; 0 for invalid pixels.
        classes: the names.
        ignore: value of `class_raster` for invalid pixels.
    """

    class_raster: npt.NDArray[np.integer]
    confidence: npt.NDArray[np.float32]
    classes: tuple[str, ...]
    ignore: int
    model_version: int | None
    reliability: Reliability | None = None

    form = "pixels"
    outputs = (CLASS_RASTER_OUTPUT, CONFIDENCE_OUTPUT, CLASSES_OUTPUT)

    @property
    def shares(self) -> dict[str, float]:
        """Share of the valid pixels, by class."""
        valid = self.class_raster[self.class_raster != self.ignore]
        counts = np.bincount(valid, minlength=len(self.classes))
        return {
            name: float(count / max(valid.size, 1))
            for name, count in zip(self.classes, counts, strict=True)
        }

    @classmethod
    def read(cls, row: Outputs, model_version: int | None) -> Self:
        classes = class_names(row)
        raster, confidence = row[CLASS_RASTER_OUTPUT], row[CONFIDENCE_OUTPUT]
        return cls(raster, confidence, classes, ignore_value(len(classes)), model_version)

    @classmethod
    def columns(cls, outputs: Outputs) -> Columns:
        """Returns the share of each class among the valid pixels; the pixels belong in a map."""
        rasters, count = outputs[CLASS_RASTER_OUTPUT], outputs[CLASSES_OUTPUT].shape[1]
        tallies = np.zeros((len(rasters), count))
        for row, raster in zip(tallies, rasters, strict=True):
            row += np.bincount(raster[raster != ignore_value(count)], minlength=count)
        valid = np.maximum(tallies.sum(axis=1, keepdims=True), 1)
        return {"shares": (tallies / valid).astype(np.float32)}

    def as_text(self, top: int) -> str:
        return ranked(self.shares, top)

    def values(self) -> dict[str, Any]:
        return {"shares": self.shares}

    def difference(self, served: Self, tolerance: float) -> str:
        if self.classes != served.classes:
            return f"classes {list(served.classes)}, not {list(self.classes)}"
        if self.class_raster.shape != served.class_raster.shape:
            return f"a raster {served.class_raster.shape}, not {self.class_raster.shape}"
        difference = float(np.abs(self.confidence - served.confidence).max(initial=0.0))
        if not difference <= tolerance:  # also true for NaN
            return f"a confidence differs by {difference:.3g}"
        # Only two classes of nearly equal probability may change places.
        sure = self.confidence > 0.5 + tolerance
        other = int((sure & (self.class_raster != served.class_raster)).sum())
        return f"{other} pixels have another class" if other else ""

    @classmethod
    def follow(cls, outputs: Outputs, target: str, classes: tuple[str, ...]) -> Followed:
        """Follows the mean probability of a class over its pixels in the answer."""
        own = outputs[CLASS_PROBABILITIES_OUTPUT][0].argmax(axis=0)
        counts = np.bincount(own.ravel(), minlength=len(classes))
        index = index_of_target(target, classes, counts)
        region = own == index if counts[index] else np.ones_like(own, bool)
        return classes[index], lambda changed: changed[CLASS_PROBABILITIES_OUTPUT][
            :, index, region
        ].mean(axis=1)


PREDICTION = ClassRasterPrediction
