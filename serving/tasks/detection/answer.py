"""Prediction of detection: the objects in an image."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from serving.tasks.base import (
    CLASSES_OUTPUT,
    AnyPrediction,
    Columns,
    Followed,
    Lists,
    Outputs,
    UnknownTarget,
    are_close,
)
from serving.tasks.reliability import Reliability

BOXES_OUTPUT = "boxes"
BOX_LABELS_OUTPUT = "box_labels"
BOX_CLASSES_OUTPUT = "box_classes"
BOX_SCORES_OUTPUT = "box_scores"


@dataclass(frozen=True)
class FoundObject:
    """An object in an image; edges in pixels of the model's input."""

    class_name: str
    score: float
    ymin: float
    xmin: float
    ymax: float
    xmax: float


_NUMBERS = ("score", "ymin", "xmin", "ymax", "xmax")


@dataclass(frozen=True)
class ObjectsPrediction(AnyPrediction):
    """Objects in an image, in falling order of score."""

    objects: tuple[FoundObject, ...]
    model_version: int | None
    reliability: Reliability | None = None

    form = "objects"
    outputs = (
        BOXES_OUTPUT,
        BOX_LABELS_OUTPUT,
        BOX_CLASSES_OUTPUT,
        BOX_SCORES_OUTPUT,
        CLASSES_OUTPUT,
    )

    @classmethod
    def read(cls, row: Outputs, model_version: int | None) -> Self:
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
        return cls(tuple(sorted(objects, key=lambda it: -it.score)), model_version)

    @classmethod
    def columns(cls, outputs: Outputs) -> Columns:
        """Returns a list for each part of the objects, in falling order of score."""
        order = np.argsort(-outputs[BOX_SCORES_OUTPUT], axis=1, kind="stable")
        found = np.take_along_axis(outputs[BOX_LABELS_OUTPUT], order, axis=1) >= 0
        counts = found.sum(axis=1)
        names, scores = (
            np.take_along_axis(outputs[name], order, axis=1)[found]
            for name in (BOX_CLASSES_OUTPUT, BOX_SCORES_OUTPUT)
        )
        boxes = np.take_along_axis(outputs[BOXES_OUTPUT], order[..., np.newaxis], axis=1)[found]
        edges = zip(_NUMBERS[1:], boxes.T, strict=True)
        return {
            "classes": Lists(names, counts),
            "scores": Lists(scores, counts),
            **{edge: Lists(values, counts) for edge, values in edges},
        }

    def as_text(self, top: int) -> str:
        shown = self.objects[:top]
        return "  ".join(f"{it.class_name} {it.score:.3f}" for it in shown) or "none"

    def values(self) -> dict[str, Any]:
        return {"objects": [vars(found) for found in self.objects]}

    def difference(self, served: Self, tolerance: float) -> str:
        if len(self.objects) != len(served.objects):
            return f"{len(served.objects)} objects, not {len(self.objects)}"
        for index, (one, other) in enumerate(zip(self.objects, served.objects, strict=True)):
            pairs = [(getattr(one, name), getattr(other, name)) for name in _NUMBERS]
            if one.class_name != other.class_name or not all(
                are_close(mine, theirs, tolerance) for mine, theirs in pairs
            ):
                return f"object {index} is {other}, not {one}"
        return ""

    @classmethod
    def follow(cls, outputs: Outputs, target: str, classes: tuple[str, ...]) -> Followed:
        """Follows an object by its position: the best score times overlap, among its class.

        A class is followed by its best score anywhere.
        """
        labels = outputs[BOX_LABELS_OUTPUT]
        if target in classes:
            label = classes.index(target)
            return target, lambda changed: _best(changed, label)
        places = [f"#{place}" for place in np.flatnonzero(labels[0] >= 0)]
        wanted = target or "#0"
        if wanted not in places:
            raise UnknownTarget(
                f"{wanted!r} is neither an object of the answer, which has {len(places)}, nor a "
                f"class: {', '.join(classes)}"
            )
        place = int(wanted[1:])
        label, box = int(labels[0, place]), outputs[BOXES_OUTPUT][0, place]
        return classes[label], lambda changed: _best(changed, label, box)


def _best(
    outputs: Outputs, label: int, box: npt.NDArray[np.floating] | None = None
) -> npt.NDArray[np.floating]:
    """Returns the best score of a class in each row, times the overlap with a box, if given."""
    scores = np.where(outputs[BOX_LABELS_OUTPUT] == label, outputs[BOX_SCORES_OUTPUT], 0.0)
    if box is not None:
        scores = scores * _overlap(outputs[BOXES_OUTPUT], box)
    best: npt.NDArray[np.floating] = scores.max(axis=1)
    return best


def _overlap(
    boxes: npt.NDArray[np.floating], box: npt.NDArray[np.floating]
) -> npt.NDArray[np.floating]:
    """Returns the intersection over union of boxes [..., 4] with a box [4]."""
    first = np.maximum(boxes[..., :2], box[:2])
    last = np.minimum(boxes[..., 2:], box[2:])
    shared = np.prod(np.maximum(last - first, 0.0), axis=-1)
    areas = np.prod(boxes[..., 2:] - boxes[..., :2], axis=-1) + np.prod(box[2:] - box[:2])
    overlap: npt.NDArray[np.floating] = shared / np.maximum(areas - shared, 1e-9)
    return overlap


PREDICTION = ObjectsPrediction
