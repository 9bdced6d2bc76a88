"""The Statistics node in a real local pipeline, read by the stock ExampleValidator."""

import json
from pathlib import Path
from typing import Any

import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx.components.example_validator.component import ExampleValidator
from tfx.components.schema_gen.import_schema_gen.component import ImportSchemaGen
from tfx.dsl.components.common.importer import Importer
from tfx.orchestration import metadata
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.orchestration.pipeline import Pipeline
from tfx.types import standard_artifacts

from components.statistics import feature_stats
from components.statistics.component import Statistics
from components.statistics.config import StatisticsConfig

ROW = {"image/encoded": b"\xff\xd8", "label/text": "Sea", "image/brightness": 10.0}


def run(folder: Path, config: StatisticsConfig) -> None:
    examples = Importer(
        source_uri=str(folder / "examples"),
        artifact_type=standard_artifacts.Examples,
        properties={"split_names": json.dumps(["train", "eval"]), "span": 3},
    ).with_id("Examples")
    schema = ImportSchemaGen(schema_file=str(folder / "schema.pbtxt"))
    statistics = Statistics(examples.outputs["result"], config, schema.outputs["schema"])
    validator = ExampleValidator(
        statistics=statistics.outputs["statistics"], schema=schema.outputs["schema"]
    )
    LocalDagRunner().run(
        Pipeline(
            pipeline_name="statistics",
            pipeline_root=str(folder / "root"),
            components=[examples, schema, statistics, validator],
            metadata_connection_config=metadata.sqlite_metadata_connection_config(
                str(folder / "metadata.db")
            ),
        )
    )


def test_the_stock_validator_reads_what_the_node_writes(
    tmp_path: Path, write_examples: Any
) -> None:
    write_examples(tmp_path / "examples" / "Split-train", [ROW] * 20, 2)
    write_examples(tmp_path / "examples" / "Split-eval", [{**ROW, "label/text": "Lake"}], 1)
    train = tmp_path / "examples" / "Split-train" / "data-*"
    schema = tfdv.infer_schema(tfdv.generate_statistics_from_tfrecord(str(train)))
    del schema.feature[[f.name for f in schema.feature].index("image/encoded")]
    tfdv.write_schema_text(schema, str(tmp_path / "schema.pbtxt"))

    run(tmp_path, StatisticsConfig())

    (statistics,) = (tmp_path / "root" / "Statistics" / "statistics").iterdir()
    assert sorted(path.name for path in statistics.iterdir()) == ["Split-eval", "Split-train"]
    counted = feature_stats.read(str(statistics / "Split-train" / "FeatureStats.pb"))
    assert counted.datasets[0].num_examples == 20
    (anomalies,) = (tmp_path / "root" / "ExampleValidator" / "anomalies").iterdir()
    assert set(_anomalies(anomalies / "Split-train").anomaly_info) == set()
    assert set(_anomalies(anomalies / "Split-eval").anomaly_info) == {"label/text"}


def test_above_the_bound_the_node_counts_on_beam(tmp_path: Path, write_examples: Any) -> None:
    for split in ("train", "eval"):
        write_examples(tmp_path / "examples" / f"Split-{split}", [ROW] * 20, 2)
    (tmp_path / "schema.pbtxt").write_text("")

    run(tmp_path, StatisticsConfig(in_memory_max_bytes=10))

    (statistics,) = (tmp_path / "root" / "Statistics" / "statistics").iterdir()
    for split in ("train", "eval"):
        counted = feature_stats.read(str(statistics / f"Split-{split}" / "FeatureStats.pb"))
        assert counted.datasets[0].num_examples == 20


def _anomalies(folder: Path) -> anomalies_pb2.Anomalies:
    return anomalies_pb2.Anomalies.FromString((folder / "SchemaDiff.pb").read_bytes())
