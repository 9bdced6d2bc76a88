"""TFMA run: examples and one or two models in, TFMA's result files, predictions, metrics out."""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import apache_beam as beam
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
)
from components.evaluation.failing import take_failures
from components.evaluation.metrics import TaskScores
from components.evaluation.own_metrics import OwnScores
from components.evaluation.paired import McNemar, mcnemar
from components.evaluation.prediction_runs import merged_runs
from components.evaluation.predictions import PredictionTable
from components.evaluation.result import EvaluationResult
from components.evaluation.robustness import corruption_slices
from components.evaluation.tasks.registry import evaluated_task
from components.evaluation.tfma_results import load_results
from components.node.records import records
from components.raster.task import SINGLE_LABEL, Task
from serving.contract.names import EXAMPLES_SIGNATURE


def evaluate(
    config: EvaluationConfig,
    files: Sequence[str],
    candidate: str,
    baseline: str | None,
    output_dir: str,
    make_pipeline: Callable[[], beam.Pipeline],
    baseline_version: int | None = None,
    grouping: str | None = None,
) -> EvaluationResult:
    """Measures the candidate, and the baseline on the same examples, with TFMA.

    Args:
        config: slices, bins and the batch size; its thresholds are ignored.
        files: TFRecord files of the split's examples.
        candidate, baseline: folders of SavedModels; baseline None when none is served.
        output_dir: folder for the files that `tfma.load_eval_result` reads, and for the file of
            predictions.
        make_pipeline: makes the Beam pipeline to run on.
        baseline_version: only recorded.
        grouping: the file of the examples' groups, if there is one.

    Without examples, or with a candidate that cannot be loaded or fails on an example, the result
    has no slice. A baseline that fails, or that has another task, is left out. The result's
    `failures` give the reasons.
    """
    folders = {CANDIDATE: candidate} | ({BASELINE: baseline} if baseline else {})
    first = next(records(*files), None)
    if first is None:
        return EvaluationResult(config.split, (), None, baseline_version, ())
    shared = Shared()
    loaded: LoadedModels = shared.acquire(lambda: load(tuple(folders.values())))
    compared = call_models(folders, loaded, first, config.score_threshold)
    found = EvaluationResult(
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
        failed = take_failures(output_dir)
        if not failed:
            measured = load_results(config, found, compared, output_dir)
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
    """Writes TFMA's files for the models, or notes on the models that failed."""
    reading.own_metrics()  # raises here, before Beam wraps the error
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
    candidate = compared.frames[CANDIDATE]
    names = {each.class_name for each in config.decisions}
    decided = tuple(at for at, name in enumerate(candidate.classes) if name in names)
    return Reading(
        {**compared.frames, CANDIDATE: replace(candidate, decided=decided)},
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

    It leaves out the thresholds, because TFMA passes a change threshold without a baseline.
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
    """Returns TFMA's own writers, only for metrics: each further output costs a Beam sink."""
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


def _mcnemar(measured: EvaluationResult, predictions: PredictionTable) -> McNemar | None:
    """Tests the difference in the share of right examples, if examples are independent."""
    overall = measured.overall
    if overall is None or overall.baseline is None or overall.groups is not None:
        return None
    if not evaluated_task(measured.task).is_share:
        return None
    return mcnemar(predictions.without_probabilities())
