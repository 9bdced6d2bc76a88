"""Executor of the OwnGates node: artifacts in, one report out; the stop node raises."""

import os
from typing import Any

import tensorflow as tf
from pydantic import TypeAdapter
from tfx.dsl.components.base.base_executor import BaseExecutor
from tfx.types import Artifact, artifact_utils

from components.gate.artifact import publish, read_report
from components.node.files import STATISTICS_FILE, split_folder
from components.statistics.feature_stats import read
from pipelines.config.gates import CustomGate
from pipelines.gates.judge import Evidence, Statistics, judge
from pipelines.page.content import read_evaluation

#: The configuration of all gates, as JSON.
GATES = TypeAdapter(tuple[CustomGate, ...])
_REPORTS = ("rejects", "data_report", "evaluation_report")


class Executor(BaseExecutor):
    """Calls the gates; succeeds whatever they find."""

    def Do(
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes `report.json`."""
        self._log_startup(input_dict, output_dict, exec_properties)
        given = {
            name: artifact_utils.get_single_instance(found) for name, found in input_dict.items()
        }
        reports = [read_report(given[name]) for name in _REPORTS]
        evidence = Evidence(
            evaluation=read_evaluation(given["evaluation"].uri),
            statistics=_statistics(given["statistics"]),
            reports={report.gate: report for report in reports},
        )
        report = judge(GATES.validate_json(exec_properties["gates"]), evidence)
        publish(report, artifact_utils.get_single_instance(output_dict["report"]))


def _statistics(artifact: Artifact) -> dict[str, Statistics]:
    names = artifact_utils.decode_split_names(artifact.split_names)
    paths = {
        name: os.path.join(split_folder(artifact.uri, name), STATISTICS_FILE) for name in names
    }
    return {
        name: read(path).datasets[0] for name, path in paths.items() if tf.io.gfile.exists(path)
    }
