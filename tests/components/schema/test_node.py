"""The Schema node in a real local pipeline: inferred at first, the accepted one afterwards."""

import json
from pathlib import Path
from typing import Any

import pytest
from ml_metadata.metadata_store import MetadataStore
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.dsl.components.common.importer import Importer
from tfx.orchestration import metadata
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.orchestration.pipeline import Pipeline
from tfx.types import standard_artifacts

from components.raster.errors import ConfigError
from components.schema.component import Schema
from components.schema.config import SchemaConfig
from components.schema.schema_store import accept, accepted_digest, parse
from components.statistics import feature_stats

ROW = {"label": 0, "label/text": "Sea", "image/brightness": 10.0}


def run(folder: Path, digest: str) -> None:
    statistics = Importer(
        source_uri=str(folder / "statistics"),
        artifact_type=standard_artifacts.ExampleStatistics,
        properties={"split_names": json.dumps(["train"])},
    ).with_id("Statistics")
    config = SchemaConfig(home=str(folder / "schema.pbtxt"))
    LocalDagRunner().run(
        Pipeline(
            pipeline_name="schema",
            pipeline_root=str(folder / "root"),
            components=[statistics, Schema(statistics.outputs["result"], config, digest)],
            enable_cache=True,
            metadata_connection_config=_metadata(folder),
        )
    )


def latest(folder: Path) -> tuple[schema_pb2.Schema, bool, int]:
    """The newest schema, whether it was inferred, and how many there are."""
    artifacts = MetadataStore(_metadata(folder)).get_artifacts_by_type("Schema")
    newest = max(artifacts, key=lambda artifact: artifact.id)
    (file,) = Path(newest.uri).iterdir()
    inferred = newest.custom_properties["inferred"].int_value
    return parse(file.read_bytes(), str(file)), bool(inferred), len(artifacts)


def test_inferred_until_accepted_and_never_answered_from_a_stale_cache(
    tmp_path: Path, statistics_of: Any
) -> None:
    statistics = statistics_of([ROW] * 10)
    feature_stats.write(statistics, str(tmp_path / "statistics/Split-train/FeatureStats.pb"))
    home = str(tmp_path / "schema.pbtxt")

    run(tmp_path, accepted_digest(home))
    schema, inferred, count = latest(tmp_path)
    assert (inferred, count) == (True, 1)
    assert {feature.name for feature in schema.feature} == set(ROW)

    run(tmp_path, accepted_digest(home))
    assert latest(tmp_path) == (schema, True, 1), "nothing has changed: a cache hit"

    del schema.feature[0]
    accept(home, schema)
    run(tmp_path, accepted_digest(home))
    assert latest(tmp_path) == (schema, False, 2)


def test_a_schema_accepted_during_a_run_is_refused(tmp_path: Path, statistics_of: Any) -> None:
    statistics = statistics_of([ROW] * 10)
    feature_stats.write(statistics, str(tmp_path / "statistics/Split-train/FeatureStats.pb"))
    accept(str(tmp_path / "schema.pbtxt"), schema_pb2.Schema(feature=[{"name": "label"}]))

    with pytest.raises(ConfigError, match="has changed since this run was started"):
        run(tmp_path, digest="")


def _metadata(folder: Path) -> Any:
    path = str(folder / "metadata.db")
    return metadata.sqlite_metadata_connection_config(path)
