"""Executor of the OwnGates node: artifacts in, one report out; the stop node raises."""

import os
from collections.abc import Mapping
from typing import Any

import tensorflow as tf
from pydantic import TypeAdapter
from tfx.types import Artifact, artifact_utils

from components.gate.artifact import publish, read_report
from components.node.executor import Artifacts, NodeExecutor
from components.node.files import STATISTICS_FILE, split_folder
from components.statistics.feature_stats import read
from pipelines.config.gates import CustomGate
from pipelines.gates.judge import Evidence, Statistics, judge
from pipelines.page.content import read_evaluation

#: The configuration of all gates, as JSON.
GATES = TypeAdapter(tuple[CustomGate, ...])
_REPORTS = ("rejects", "data_report", "evaluation_report")


class Executor(NodeExecutor):
    """Calls the gates; succeeds whatever they find."""

    def execute(self, inputs: Artifacts, outputs: Artifacts, properties: Mapping[str, Any]) -> None:
        """Writes `report.json`."""
        reports = [read_report(inputs[name]) for name in _REPORTS]
        evidence = Evidence(
            evaluation=read_evaluation(inputs.uri("evaluation")),
            statistics=_statistics(inputs["statistics"]),
            reports={report.gate: report for report in reports},
        )
        report = judge(GATES.validate_json(properties["gates"]), evidence)
        publish(report, outputs["report"])


def _statistics(artifact: Artifact) -> dict[str, Statistics]:
    names = artifact_utils.decode_split_names(artifact.split_names)
    paths = {
        name: os.path.join(split_folder(artifact.uri, name), STATISTICS_FILE) for name in names
    }
    return {
        name: read(path).datasets[0] for name, path in paths.items() if tf.io.gfile.exists(path)
    }
