"""Executor of the Statistics node: writes a FeatureStats.pb for each split."""

import json
import os
from collections.abc import Mapping
from typing import Any

import tensorflow_data_validation as tfdv
from tfx.types import Artifact, artifact_utils
from tfx.utils import io_utils

from components.node.executor import Artifacts, BeamNodeExecutor
from components.node.files import STATISTICS_FILE
from components.node.records import shards
from components.statistics.compute import Split, compute_statistics
from components.statistics.config import StatisticsConfig


class Executor(BeamNodeExecutor):
    """Counts every split of one Examples artifact."""

    def execute(self, inputs: Artifacts, outputs: Artifacts, properties: Mapping[str, Any]) -> None:
        """Writes `Split-*/FeatureStats.pb`; raises DataError for records that are not examples."""
        config = StatisticsConfig.model_validate_json(properties["config"])
        examples = inputs["examples"]
        statistics = outputs["statistics"]
        names = artifact_utils.decode_split_names(examples.split_names)
        statistics.split_names = artifact_utils.encode_split_names(names)
        statistics.span = examples.span
        splits = [_split(name, examples, statistics) for name in names]
        places = compute_statistics(splits, config, self._make_beam_pipeline, _schema(inputs))
        statistics.set_string_custom_property("computed_in", json.dumps(dict(places)))


def _split(name: str, examples: Artifact, statistics: Artifact) -> Split:
    folder = artifact_utils.get_split_uri([examples], name)
    output = os.path.join(artifact_utils.get_split_uri([statistics], name), STATISTICS_FILE)
    return Split(name, shards(folder), output)


def _schema(inputs: Artifacts) -> Any:
    if "schema" not in inputs:
        return None
    return tfdv.load_schema_text(io_utils.get_only_uri_in_dir(inputs.uri("schema")))
