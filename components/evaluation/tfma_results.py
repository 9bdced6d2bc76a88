"""TFMA's result files as plain values."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import tensorflow_model_analysis as tfma

from components.evaluation.compared_models import BASELINE, CANDIDATE, ComparedModels
from components.evaluation.config import EvaluationConfig
from components.evaluation.metrics import CONFUSION
from components.evaluation.paired import paired_change
from components.evaluation.result import EvaluationResult, SliceMetrics
from components.evaluation.slices import SliceKey
from components.evaluation.tasks.bootstrap import CLASS_INTERVALS, FEWEST_UNITS, REPLICATED
from components.evaluation.tasks.calibration import CALIBRATION, ReliabilityBin, reliability
from components.evaluation.tasks.measures import EXAMPLE_COUNT, Floats, class_metric
from components.evaluation.tasks.registry import evaluated_task

#: TFMA's metrics of one model and slice: by sub key and name.
TfmaMetrics: TypeAlias = Mapping[str, Mapping[str, Any]]


def load_results(
    config: EvaluationConfig, found: EvaluationResult, compared: ComparedModels, output_dir: str
) -> EvaluationResult:
    """Reads TFMA's files into plain values."""
    by_model = {
        model.name: {
            _key(key): values[""]
            for key, values in tfma.load_eval_result(
                output_dir, model_name=model.name if len(compared.models) > 1 else None
            ).slicing_metrics
        }
        for model in compared.models
    }
    before = by_model.get(BASELINE)
    slices = [
        _slice(config, compared, key, values, before[key] if before else None)
        for key, values in by_model[CANDIDATE].items()
    ]
    classes = {model.name: model.classes for model in compared.models}
    confusion = _confusion(by_model[CANDIDATE][()], len(compared.space))
    return replace(
        found,
        classes=classes[CANDIDATE],
        baseline_classes=classes.get(BASELINE),
        slices=tuple(sorted(slices, key=lambda item: (len(item.key), item.key))),
        confusion_classes=compared.space if confusion else (),
        confusion=confusion,
        reliability={name: _reliability(slices[()]) for name, slices in by_model.items()},
    )


def _reliability(values: TfmaMetrics) -> tuple[ReliabilityBin, ...]:
    """Returns the bins of confidence; none for a task without them."""
    if CALIBRATION not in values[""]:
        return ()
    return reliability(_array(values, CALIBRATION).reshape(3, -1))


def _slice(
    config: EvaluationConfig,
    compared: ComparedModels,
    key: SliceKey,
    values: TfmaMetrics,
    before: TfmaMetrics | None,
) -> SliceMetrics:
    candidate, intervals = _flat(values, compared.space), _class_intervals(values, compared)
    if before is None:
        return SliceMetrics(key, candidate, None, compared.task, class_intervals=intervals)
    baseline, headline = _flat(before, compared.space), evaluated_task(compared.task).headline
    item = SliceMetrics(key, candidate, baseline, compared.task, class_intervals=intervals)
    if item.units < FEWEST_UNITS:
        return item
    change = paired_change(
        candidate.get(headline, math.nan) - baseline.get(headline, math.nan),
        _array(values, REPLICATED),
        _array(before, REPLICATED),
        config.confidences,
    )
    return replace(item, change=change)


def _class_intervals(
    values: TfmaMetrics, compared: ComparedModels
) -> dict[str, tuple[float, float]]:
    """Returns the known intervals of the classes' metrics, by metric and class."""
    if not (metrics := evaluated_task(compared.task).class_metrics):
        return {}
    bounds = _array(values, CLASS_INTERVALS).reshape(len(metrics), len(compared.space), 2)
    return {
        class_metric(metric, name): (low, high)
        for metric, of_classes in zip(metrics, bounds.tolist(), strict=True)
        for name, (low, high) in zip(compared.space, of_classes, strict=True)
        if math.isfinite(low)
    }


def _array(values: TfmaMetrics, name: str) -> Floats:
    """Returns an array stored beside the metrics of a slice, in which NaN is text."""
    return np.array(values[""][name]["arrayValue"]["float64Values"], np.float64)


def _key(tfma_key: Sequence[tuple[str, Any]]) -> SliceKey:
    return tuple(sorted((name, str(value)) for name, value in tfma_key))


def _flat(values: TfmaMetrics, space: Sequence[str]) -> dict[str, float]:
    """Flattens TFMA's metrics of one model and slice (sub key, name) to the gate's names."""
    flat = {}
    for sub_key, metrics in values.items():
        for name, value in metrics.items():
            if name.endswith("_diff") or "doubleValue" not in value:
                continue
            if not sub_key:
                flat[name] = float(value["doubleValue"])
            elif sub_key.startswith("classId:"):
                class_name = space[int(sub_key.removeprefix("classId:"))]
                flat[class_metric(name, class_name)] = float(value["doubleValue"])
    flat.setdefault(EXAMPLE_COUNT, 0.0)
    return flat


def _confusion(
    values: Mapping[str, Mapping[str, Any]], class_count: int
) -> tuple[tuple[int, ...], ...]:
    """Converts TFMA's confusion matrix to counts [true][predicted]; no prediction is unknown.

    Empty for a task without one.
    """
    if CONFUSION not in values[""]:
        return ()
    counts = [[0] * class_count for _ in range(class_count)]
    stored = values[""][CONFUSION]["multiClassConfusionMatrixAtThresholds"]["matrices"][0]
    for entry in stored.get("entries", ()):
        actual, predicted = (
            int(entry.get(name, 0)) for name in ("actualClassId", "predictedClassId")
        )
        counts[actual][predicted] += int(float(entry["numWeightedExamples"]))
    return tuple(tuple(row) for row in counts)
