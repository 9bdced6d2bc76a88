"""Executor of the Evaluation node: artifacts -> evaluate -> judge -> artifacts."""

import os
from typing import Any

import tensorflow as tf
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.types import Artifact, artifact_utils
from tfx.utils import path_utils

from components.evaluation.analysis import evaluate
from components.evaluation.config import EvaluationConfig
from components.evaluation.result import METRICS_FILE
from components.evaluation.rules import judge
from components.gate.artifact import publish
from components.gate.baseline import baseline_dir


class Executor(BaseBeamExecutor):
    """Measures, writes TFMA's files and `metrics.json`, and publishes the gate's report."""

    def Do(
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Never raises for a bad candidate: the report records the failure, Stop raises it."""
        self._log_startup(input_dict, output_dict, exec_properties)
        config = EvaluationConfig.model_validate_json(exec_properties["config"])
        model = artifact_utils.get_single_instance(input_dict["model"])
        examples = artifact_utils.get_single_uri(input_dict["examples"])
        baseline, baseline_version = _baseline(input_dict.get("baseline") or [])
        output_dir = artifact_utils.get_single_uri(output_dict["evaluation"])
        evaluation = evaluate(
            config,
            split_files(examples, config.split),
            candidate=path_utils.serving_model_path(model.uri),
            baseline=baseline,
            output_dir=output_dir,
            make_pipeline=self._make_beam_pipeline,
            baseline_version=baseline_version,
        )
        tf.io.gfile.makedirs(output_dir)
        with tf.io.gfile.GFile(os.path.join(output_dir, METRICS_FILE), "w") as file:
            file.write(evaluation.to_json())
        publish(
            judge(config, evaluation), artifact_utils.get_single_instance(output_dict["report"])
        )


def split_files(examples_uri: str, split: str) -> list[str]:
    """Returns the sorted record files of one split of an Examples artifact; empty without it."""
    pattern = os.path.join(examples_uri, f"Split-{split}", "*")
    return sorted(tf.io.gfile.glob(pattern))


def _baseline(artifacts: list[Artifact]) -> tuple[str | None, int | None]:
    """Returns folder and number of the served version, if the node has that input."""
    if not artifacts:
        return None, None
    artifact = artifact_utils.get_single_instance(artifacts)
    folder = baseline_dir(artifact.uri)
    return (None, None) if folder is None else (str(folder), artifact.served_version)
