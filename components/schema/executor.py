"""Executor of the Schema node: the accepted schema, or the inferred one without it."""

import os
from collections.abc import Mapping
from typing import Any

import tensorflow as tf
import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.types import Artifact, artifact_utils

from components.node.executor import Artifacts, NodeExecutor
from components.node.files import SCHEMA_FILE, STATISTICS_FILE
from components.raster.errors import ConfigError
from components.schema.config import SchemaConfig
from components.schema.infer import infer
from components.schema.schema_store import accepted_digest, read_accepted, to_text

INFERRED = "inferred"
TRAIN = "train"


class Executor(NodeExecutor):
    """Writes one schema, and records its origin in the property `inferred` (0 or 1)."""

    def execute(self, inputs: Artifacts, outputs: Artifacts, properties: Mapping[str, Any]) -> None:
        """Raises ConfigError for a schema that is damaged or was changed since the run began."""
        config = SchemaConfig.model_validate_json(properties["config"])
        schema = _accepted(config, properties["accepted_sha256"])
        inferred = schema is None
        if schema is None:
            statistics = inputs["statistics"]
            schema = infer(_training_statistics(statistics), config.classes)
        output = outputs["schema"]
        with tf.io.gfile.GFile(os.path.join(output.uri, SCHEMA_FILE), "w") as file:
            file.write(to_text(schema))
        output.set_int_custom_property(INFERRED, int(inferred))


def _accepted(config: SchemaConfig, expected: str) -> schema_pb2.Schema | None:
    """Reads the accepted schema; raises ConfigError if it was replaced since the run began."""
    found = accepted_digest(config.home)
    if found != expected:
        raise ConfigError(
            f"the accepted schema at {config.home} has changed since this run was started "
            f"(sha256 {found or 'none'}, then {expected or 'none'}); run again"
        )
    return read_accepted(config.home)


def _training_statistics(statistics: Artifact) -> Any:
    folder = artifact_utils.get_split_uri([statistics], TRAIN)
    return tfdv.load_stats_binary(os.path.join(folder, STATISTICS_FILE))
