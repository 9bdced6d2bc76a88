"""Comparison of a server's predictions with those that the model gives in this process."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from serving.tasks.registry import (
    AnyPrediction,
    ClassRasterPrediction,
    LabelsPrediction,
    NumberPrediction,
    ObjectsPrediction,
    Prediction,
)


def disagreement(
    wanted: Sequence[AnyPrediction], given: Sequence[AnyPrediction], tolerance: float
) -> str:
    """Describes how a server's predictions differ from the expected ones; empty if they agree.

    Probabilities may differ by the tolerance, numbers and edges by it or by that share of their
    size. What follows from a comparison of probabilities, such as the class, may then differ where
    they are closer than the tolerance.
    """
    if len(wanted) != len(given):
        return f"{len(given)} answers to {len(wanted)} images"
    for index, (want, got) in enumerate(zip(wanted, given, strict=True)):
        if found := _difference(want, got, tolerance):
            return f"image {index}: {found}"
    return ""


def _difference(want: AnyPrediction, got: AnyPrediction, tolerance: float) -> str:
    match want, got:
        case Prediction(), Prediction():
            return _of_one_label(want, got, tolerance)
        case LabelsPrediction(), LabelsPrediction():
            return _of_labels(want, got, tolerance)
        case NumberPrediction(), NumberPrediction():
            return "" if _close(want.value, got.value, tolerance) else f"value {got.value:.6g}"
        case ClassRasterPrediction(), ClassRasterPrediction():
            return _of_class_rasters(want, got, tolerance)
        case ObjectsPrediction(), ObjectsPrediction():
            return _of_objects(want, got, tolerance)
    return f"a {type(got).__name__}, not a {type(want).__name__}"


def _of_one_label(want: Prediction, got: Prediction, tolerance: float) -> str:
    if found := _of_probabilities(want.probabilities, got.probabilities, tolerance):
        return found
    most = max(got.probabilities.values()) - tolerance
    if got.probabilities.get(got.class_name, -math.inf) < most:
        return f"class {got.class_name!r} is not the most probable one"
    return ""


def _of_labels(want: LabelsPrediction, got: LabelsPrediction, tolerance: float) -> str:
    if found := _of_probabilities(want.probabilities, got.probabilities, tolerance):
        return found
    there = {name: p for name, p in want.probabilities.items() if name in want.present}
    absent = {name: p for name, p in want.probabilities.items() if name not in want.present}
    # The threshold is between these two; only a class within the tolerance of it may change sides.
    least, most = min(there.values(), default=1.0), max(absent.values(), default=0.0)
    lost = any(there[name] > least + tolerance for name in there.keys() - set(got.present))
    new = any(absent[name] < most - tolerance for name in absent.keys() & set(got.present))
    return f"present are {list(got.present)}, not {list(want.present)}" if lost or new else ""


def _of_class_rasters(
    want: ClassRasterPrediction, got: ClassRasterPrediction, tolerance: float
) -> str:
    if want.classes != got.classes:
        return f"classes {list(got.classes)}, not {list(want.classes)}"
    if want.class_raster.shape != got.class_raster.shape:
        return f"a raster {got.class_raster.shape}, not {want.class_raster.shape}"
    difference = float(np.abs(want.confidence - got.confidence).max(initial=0.0))
    if not difference <= tolerance:  # also true for NaN
        return f"a confidence differs by {difference:.3g}"
    # Only two classes with nearly equal shares of the probability may change places.
    sure = want.confidence > 0.5 + tolerance
    other = int((sure & (want.class_raster != got.class_raster)).sum())
    return f"{other} pixels have another class" if other else ""


def _of_objects(want: ObjectsPrediction, got: ObjectsPrediction, tolerance: float) -> str:
    if len(want.objects) != len(got.objects):
        return f"{len(got.objects)} objects, not {len(want.objects)}"
    for index, (one, other) in enumerate(zip(want.objects, got.objects, strict=True)):
        pairs = [(getattr(one, name), getattr(other, name)) for name in _MEASURES]
        if one.class_name != other.class_name or not all(
            _close(mine, theirs, tolerance) for mine, theirs in pairs
        ):
            return f"object {index} is {other}, not {one}"
    return ""


_MEASURES = ("score", "ymin", "xmin", "ymax", "xmax")


def _of_probabilities(want: Mapping[str, float], got: Mapping[str, float], tolerance: float) -> str:
    if list(want) != list(got):
        return f"classes {list(got)}, not {list(want)}"
    difference = max(abs(got[name] - value) for name, value in want.items())
    if not difference <= tolerance:  # also true for NaN
        return f"a probability differs by {difference:.3g}"
    return ""


def _close(want: float, got: float, tolerance: float) -> bool:
    return abs(got - want) <= tolerance * max(1.0, abs(want))
