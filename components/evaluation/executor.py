"""Executor of the Evaluation node: artifacts -> evaluate -> judge -> artifacts."""

import os
from collections.abc import Mapping
from typing import Any

import tensorflow as tf
from tfx.utils import path_utils

from components.evaluation.analysis import evaluate
from components.evaluation.config import EvaluationConfig
from components.evaluation.rules import judge
from components.gate.artifact import publish
from components.gate.baseline import baseline_dir
from components.node.executor import Artifacts, BeamNodeExecutor
from components.node.files import METRICS_FILE, split_folder
from components.node.records import shards
from components.raster.spatial.grouping import GROUPING_FILE


class Executor(BeamNodeExecutor):
    """Writes TFMA's files, `metrics.json` and the predictions, and publishes the report."""

    def execute(self, inputs: Artifacts, outputs: Artifacts, properties: Mapping[str, Any]) -> None:
        """Never raises for a bad candidate: the report records the failure, Stop raises it."""
        config = EvaluationConfig.model_validate_json(properties["config"])
        model = inputs["model"]
        examples = inputs.uri("examples")
        baseline, baseline_version = _baseline(inputs)
        output_dir = outputs.uri("evaluation")
        evaluation = evaluate(
            config,
            shards(split_folder(examples, config.split)),
            candidate=path_utils.serving_model_path(model.uri),
            baseline=baseline,
            output_dir=output_dir,
            make_pipeline=self._make_beam_pipeline,
            baseline_version=baseline_version,
            grouping=_grouping(examples),
        )
        tf.io.gfile.makedirs(output_dir)
        with tf.io.gfile.GFile(os.path.join(output_dir, METRICS_FILE), "w") as file:
            file.write(evaluation.to_json())
        publish(judge(config, evaluation), outputs["report"])


def _grouping(examples: str) -> str | None:
    """Returns the file of the examples' groups; None for examples from other tools."""
    path = os.path.join(examples, GROUPING_FILE)
    return path if tf.io.gfile.exists(path) else None


def _baseline(inputs: Artifacts) -> tuple[str | None, int | None]:
    """Returns folder and number of the served version, if the node has that input."""
    if "baseline" not in inputs:
        return None, None
    folder = baseline_dir(inputs.uri("baseline"))
    return (None, None) if folder is None else (str(folder), inputs["baseline"].served_version)
