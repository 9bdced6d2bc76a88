"""Renders predictions of every task as text and as JSON."""

from collections.abc import Mapping
from typing import Any

from serving.tasks.registry import (
    AnyPrediction,
    ClassRasterPrediction,
    LabelsPrediction,
    NumberPrediction,
    ObjectsPrediction,
    Prediction,
)


def as_text(prediction: AnyPrediction, top: int) -> str:
    """Returns a prediction as one line; a classification shows the `top` most probable classes."""
    match prediction:
        case Prediction():
            return _ranked(prediction.probabilities, top)
        case LabelsPrediction():
            there = {name: prediction.probabilities[name] for name in prediction.present}
            return _ranked(there, len(there)) or "none"
        case NumberPrediction():
            return f"{prediction.value:.6g}"
        case ClassRasterPrediction():
            return _ranked(prediction.shares, top)
        case ObjectsPrediction():
            found = prediction.objects
            return "  ".join(f"{it.class_name} {it.score:.3f}" for it in found[:top]) or "none"


def as_json(prediction: AnyPrediction) -> dict[str, Any]:
    """Returns a prediction as plain values, without the pixels of class rasters."""
    version = {"model_version": prediction.model_version}
    match prediction:
        case Prediction():
            probabilities = dict(prediction.probabilities)
            return {"class": prediction.class_name, "probabilities": probabilities, **version}
        case LabelsPrediction():
            probabilities = dict(prediction.probabilities)
            return {"present": list(prediction.present), "probabilities": probabilities, **version}
        case NumberPrediction():
            return {"value": prediction.value, **version}
        case ClassRasterPrediction():
            return {"shares": prediction.shares, **version}
        case ObjectsPrediction():
            return {"objects": [vars(found) for found in prediction.objects], **version}


def _ranked(values: Mapping[str, float], top: int) -> str:
    ranked = sorted(values.items(), key=lambda item: -item[1])
    return "  ".join(f"{name} {value:.3f}" for name, value in ranked[:top])
