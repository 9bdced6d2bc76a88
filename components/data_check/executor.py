"""Executor of the DataCheck node: artifacts in, one report out; the stop node raises."""

import os
from collections.abc import Mapping
from typing import Any

import tensorflow as tf
import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import anomalies_pb2, statistics_pb2
from tfx.types import artifact_utils
from tfx.utils import io_utils

from components.data_check.check import SplitData, check_data
from components.data_check.config import DataCheckConfig
from components.gate.artifact import publish
from components.gate.baseline import baseline_dir
from components.node.executor import Artifacts, NodeExecutor
from components.node.files import STATISTICS_FILE, split_folder
from components.node.records import shards

BASELINE_STATISTICS = f"provenance/Split-train/{STATISTICS_FILE}"


class Executor(NodeExecutor):
    """Checks anomalies, drift and skew; succeeds whatever it finds."""

    def execute(self, inputs: Artifacts, outputs: Artifacts, properties: Mapping[str, Any]) -> None:
        """Writes `report.json`."""
        config = DataCheckConfig.model_validate_json(properties["config"])
        names = artifact_utils.decode_split_names(inputs["examples"].split_names)
        splits = [_split(name, inputs) for name in names]
        schema = tfdv.load_schema_text(io_utils.get_only_uri_in_dir(inputs.uri("schema")))
        served = baseline_dir(inputs.uri("baseline"))
        baseline = _read_statistics(str(served / BASELINE_STATISTICS)) if served else None
        report = check_data(splits, schema, baseline, config)
        publish(report, outputs["report"])


def _split(name: str, inputs: Artifacts) -> SplitData:
    anomalies_path = os.path.join(split_folder(inputs.uri("anomalies"), name), "SchemaDiff.pb")
    anomalies = anomalies_pb2.Anomalies()
    if tf.io.gfile.exists(anomalies_path):
        with tf.io.gfile.GFile(anomalies_path, "rb") as file:
            anomalies.ParseFromString(file.read())
    return SplitData(
        name,
        _read_statistics(
            os.path.join(split_folder(inputs.uri("statistics"), name), STATISTICS_FILE)
        ),
        anomalies,
        shards(split_folder(inputs.uri("examples"), name)),
    )


def _read_statistics(path: str) -> statistics_pb2.DatasetFeatureStatisticsList | None:
    return tfdv.load_stats_binary(path) if tf.io.gfile.exists(path) else None
