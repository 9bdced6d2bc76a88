"""Executor of the DataCheck node: artifacts in, one report out; the stop node raises."""

import os
from typing import Any

import tensorflow as tf
import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import anomalies_pb2, statistics_pb2
from tfx.dsl.components.base.base_executor import BaseExecutor
from tfx.types import Artifact, artifact_utils
from tfx.utils import io_utils

from components.data_check.check import SplitData, check_data
from components.data_check.config import DataCheckConfig
from components.gate.artifact import publish
from components.gate.baseline import baseline_dir

BASELINE_STATISTICS = "provenance/Split-train/FeatureStats.pb"


class Executor(BaseExecutor):
    """Checks anomalies, drift and skew; succeeds whatever it finds."""

    def Do(
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes `report.json`."""
        self._log_startup(input_dict, output_dict, exec_properties)
        config = DataCheckConfig.model_validate_json(exec_properties["config"])
        given = {
            name: artifact_utils.get_single_instance(artifacts)
            for name, artifacts in input_dict.items()
        }
        names = artifact_utils.decode_split_names(given["examples"].split_names)
        splits = [_split(name, given) for name in names]
        schema = tfdv.load_schema_text(io_utils.get_only_uri_in_dir(given["schema"].uri))
        served = baseline_dir(given["baseline"].uri)
        baseline = _read_statistics(str(served / BASELINE_STATISTICS)) if served else None
        report = check_data(splits, schema, baseline, config)
        publish(report, artifact_utils.get_single_instance(output_dict["report"]))


def _split(name: str, given: dict[str, Artifact]) -> SplitData:
    folder = f"Split-{name}"
    anomalies_path = os.path.join(given["anomalies"].uri, folder, "SchemaDiff.pb")
    anomalies = anomalies_pb2.Anomalies()
    if tf.io.gfile.exists(anomalies_path):
        with tf.io.gfile.GFile(anomalies_path, "rb") as file:
            anomalies.ParseFromString(file.read())
    return SplitData(
        name,
        _read_statistics(os.path.join(given["statistics"].uri, folder, "FeatureStats.pb")),
        anomalies,
        _shards(os.path.join(given["examples"].uri, folder)),
    )


def _shards(folder: str) -> tuple[str, ...]:
    if not tf.io.gfile.isdir(folder):
        return ()
    names = sorted(name for name in tf.io.gfile.listdir(folder) if not name.startswith("."))
    return tuple(os.path.join(folder, name) for name in names)


def _read_statistics(path: str) -> statistics_pb2.DatasetFeatureStatisticsList | None:
    return tfdv.load_stats_binary(path) if tf.io.gfile.exists(path) else None
