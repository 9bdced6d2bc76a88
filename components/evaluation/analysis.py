"""TFMA run: examples and one or two models in, TFMA's result files, predictions, metrics out."""

import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import apache_beam as beam
import numpy as np
import tensorflow as tf
import tensorflow_model_analysis as tfma
from apache_beam.utils.shared import Shared
from tensorflow_model_analysis.proto import config_pb2

from components.evaluation.compared_models import BASELINE, CANDIDATE, ComparedModels, call_models
from components.evaluation.config import EvaluationConfig
from components.evaluation.decisions import decisions
from components.evaluation.extracts import (
    LoadedModels,
    Model,
    PredictFn,
    Reading,
    load,
    read_batches,
)
from components.evaluation.failing import noted
from components.evaluation.metrics import CONFUSION, TaskScores
from components.evaluation.own_metrics import OwnScores
from components.evaluation.paired import McNemar, mcnemar, paired_change
from components.evaluation.prediction_runs import merged_runs
from components.evaluation.predictions import Predictions
from components.evaluation.result import Evaluation, SliceMetrics
from components.evaluation.robustness import corruption_slices
from components.evaluation.slices import SliceKey
from components.evaluation.tasks.bootstrap import FEWEST_UNITS, REPLICATED
from components.evaluation.tasks.calibration import CALIBRATION, ReliabilityBin, reliability
from components.evaluation.tasks.measures import EXAMPLE_COUNT, Floats, class_metric
from components.evaluation.tasks.registry import evaluated_task
from components.raster.task import SINGLE_LABEL, Task
from serving.contract.names import EXAMPLES_SIGNATURE

#: TFMA's metrics of one model and slice: by sub key and name.
TfmaMetrics: TypeAlias = Mapping[str, Mapping[str, Any]]


def evaluate(
    config: EvaluationConfig,
    files: Sequence[str],
    candidate: str,
    baseline: str | None,
    output_dir: str,
    make_pipeline: Callable[[], beam.Pipeline],
    baseline_version: int | None = None,
    grouping: str | None = None,
) -> Evaluation:
    """Measures the candidate, and the baseline on the same examples, with TFMA.

    Args:
        config: slices, bins and the batch size; its thresholds are ignored.
        files: TFRecord files of the split's examples.
        candidate, baseline: folders of SavedModels; baseline None when none is served.
        output_dir: where TFMA writes the files that `tfma.load_eval_result` reads, and where the
            file of predictions goes.
        make_pipeline: a Beam pipeline to run on.
        baseline_version: only recorded.
        grouping: the file of the examples' groups, if there is one.

    Without examples, or with a candidate that cannot be loaded or fails on an example, the result
    has no slice. A baseline that fails, or that has another task, is left out. The result's
    `failures` hold the reasons.
    """
    folders = {CANDIDATE: candidate} | ({BASELINE: baseline} if baseline else {})
    first = _first_example(files)
    if first is None:
        return Evaluation(config.split, (), None, baseline_version, ())
    shared = Shared()
    loaded: LoadedModels = shared.acquire(lambda: load(tuple(folders.values())))
    compared = call_models(folders, loaded, first, config.score_threshold)
    found = Evaluation(
        split=config.split,
        classes=(),
        baseline_classes=None,
        baseline_version=baseline_version,
        slices=(),
        task=compared.task,
        baseline_task=compared.baseline_task,
        failures=compared.failures,
    )
    while CANDIDATE not in found.failures:
        reading = _reading(config, compared, grouping)
        _measure(config, compared, reading, files, output_dir, make_pipeline, shared)
        failed = noted(output_dir)
        if not failed:
            measured = _load(config, found, compared, output_dir)
            corrupted = corruption_slices(
                *(config.corruptions, compared, reading, files, output_dir, make_pipeline, shared)
            )
            measured = replace(measured, slices=(*measured.slices, *corrupted))
            with merged_runs(output_dir, reading.head) as predictions:
                return replace(
                    measured,
                    mcnemar=_mcnemar(measured, predictions),
                    decisions=decisions(config.decisions, predictions),
                )
        tf.io.gfile.rmtree(output_dir)
        found = replace(found, failures={**found.failures, **failed})
        compared = compared.without(failed, config.score_threshold)
    return found


def _measure(
    config: EvaluationConfig,
    compared: ComparedModels,
    reading: Reading,
    files: Sequence[str],
    output_dir: str,
    make_pipeline: Callable[[], beam.Pipeline],
    shared: Shared,
) -> None:
    """Writes TFMA's files of the models, or notes about the models that failed."""
    reading.own_metrics()  # a fault is told here, before Beam wraps it
    eval_config = to_eval_config(config, compared.models, len(compared.space), compared.task)
    with make_pipeline() as pipeline:
        extracts = (
            pipeline
            | "Files" >> beam.Create(list(files))
            | "Predict" >> beam.ParDo(PredictFn(compared.models, reading, shared, output_dir))
        )
        _ = extracts | "Analyse" >> tfma.ExtractEvaluateAndWriteResults(
            eval_config=eval_config,
            extractors=[tfma.extractors.SliceKeyExtractor(eval_config=eval_config)],
            writers=_writers(eval_config, compared.models, files, output_dir),
        )


def _reading(config: EvaluationConfig, compared: ComparedModels, grouping: str | None) -> Reading:
    return Reading(
        compared.frames,
        config.slice_features,
        dict(config.bins),
        config.batch_size,
        compared.task,
        config.metrics,
        grouping,
    )


def to_eval_config(
    config: EvaluationConfig,
    models: Sequence[Model],
    class_count: int,
    task: Task = SINGLE_LABEL,
) -> config_pb2.EvalConfig:
    """Returns TFMA's config of the measurement: the models, the metrics and the slices.

    Thresholds stay out of it: TFMA passes a change threshold that has no baseline.
    """
    evaluated = evaluated_task(task)
    specs = [
        config_pb2.ModelSpec(
            name=model.name,
            signature_name=EXAMPLES_SIGNATURE,
            prediction_key=evaluated.outputs[0],
            label_key=evaluated.truth[0],
            is_baseline=model.name == BASELINE,
        )
        for model in models
    ]
    scores = config_pb2.MetricConfig(
        class_name=TaskScores.__name__,
        module=TaskScores.__module__,
        config=json.dumps({"class_count": class_count, "task": task}),
    )
    return config_pb2.EvalConfig(
        model_specs=specs,
        metrics_specs=[
            config_pb2.MetricsSpec(
                metrics=[scores, *_own_scores(config)],
                model_names=[model.name for model in models],
            )
        ],
        slicing_specs=[
            config_pb2.SlicingSpec(),
            *(config_pb2.SlicingSpec(feature_keys=list(features)) for features in config.slices),
        ],
    )


def _own_scores(config: EvaluationConfig) -> list[config_pb2.MetricConfig]:
    if not config.metrics:
        return []
    return [
        config_pb2.MetricConfig(
            class_name=OwnScores.__name__,
            module=OwnScores.__module__,
            config=json.dumps({"names": [each.name for each in config.metrics]}),
        )
    ]


def _writers(
    eval_config: config_pb2.EvalConfig,
    models: Sequence[Model],
    files: Sequence[str],
    output_dir: str,
) -> list[Any]:
    """Returns TFMA's own writers, for metrics only: each further output costs a Beam sink."""
    config_writer = tfma.writers.EvalConfigWriter(
        output_dir,
        eval_config=eval_config,
        data_location=os.path.dirname(files[0]),
        data_file_format="tfrecords",
        model_locations={model.name: model.path for model in models},
    )
    metrics_writer = tfma.writers.MetricsPlotsAndValidationsWriter(
        output_paths={tfma.METRICS_KEY: os.path.join(output_dir, tfma.METRICS_KEY)},
        eval_config=eval_config,
        output_file_format="tfrecord",
    )
    return [config_writer, metrics_writer]


def _first_example(files: Sequence[str]) -> bytes | None:
    for path in files:
        for batch in read_batches(path, 1):
            return batch[0]
    return None


def _mcnemar(measured: Evaluation, predictions: Predictions) -> McNemar | None:
    """Tests shares of right examples, where these are independent."""
    overall = measured.overall
    if overall is None or overall.baseline is None or overall.groups is not None:
        return None
    return mcnemar(predictions) if evaluated_task(measured.task).is_share else None


def _load(
    config: EvaluationConfig, found: Evaluation, compared: ComparedModels, output_dir: str
) -> Evaluation:
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
    candidate = _flat(values, compared.space)
    if before is None:
        return SliceMetrics(key, candidate, None, compared.task)
    baseline, headline = _flat(before, compared.space), evaluated_task(compared.task).headline
    item = SliceMetrics(key, candidate, baseline, compared.task)
    if item.units < FEWEST_UNITS:
        return item
    change = paired_change(
        candidate.get(headline, math.nan) - baseline.get(headline, math.nan),
        _array(values, REPLICATED),
        _array(before, REPLICATED),
        config.confidences,
    )
    return replace(item, change=change)


def _array(values: TfmaMetrics, name: str) -> Floats:
    """Returns an array that is stored beside the metrics of a slice; NaN is stored as text."""
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

    Empty where the task has none.
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
