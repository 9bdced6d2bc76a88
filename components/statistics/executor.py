"""Executor of the Statistics node: writes a FeatureStats.pb for each split."""

import json
import os
from typing import Any

import tensorflow_data_validation as tfdv
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.types import Artifact, artifact_utils
from tfx.utils import io_utils

from components.statistics.compute import Split, compute_statistics
from components.statistics.config import StatisticsConfig
from components.statistics.feature_stats import FILE
from components.statistics.records import shards


class Executor(BaseBeamExecutor):
    """Counts every split of one Examples artifact."""

    def Do(
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes `Split-*/FeatureStats.pb`; raises DataError for records that are no examples."""
        self._log_startup(input_dict, output_dict, exec_properties)
        config = StatisticsConfig.model_validate_json(exec_properties["config"])
        examples = artifact_utils.get_single_instance(input_dict["examples"])
        statistics = artifact_utils.get_single_instance(output_dict["statistics"])
        names = artifact_utils.decode_split_names(examples.split_names)
        statistics.split_names = artifact_utils.encode_split_names(names)
        statistics.span = examples.span
        splits = [_split(name, examples, statistics) for name in names]
        places = compute_statistics(
            splits, config, self._make_beam_pipeline, _schema(input_dict.get("schema"))
        )
        statistics.set_string_custom_property("computed_in", json.dumps(dict(places)))


def _split(name: str, examples: Artifact, statistics: Artifact) -> Split:
    folder = artifact_utils.get_split_uri([examples], name)
    output = os.path.join(artifact_utils.get_split_uri([statistics], name), FILE)
    return Split(name, shards(folder), output)


def _schema(artifacts: list[Artifact] | None) -> Any:
    if not artifacts:
        return None
    folder = artifact_utils.get_single_uri(artifacts)
    return tfdv.load_schema_text(io_utils.get_only_uri_in_dir(folder))
