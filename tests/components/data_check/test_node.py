"""From examples to a verdict through the real nodes, the stock ExampleValidator among them."""

import json
from pathlib import Path
from typing import Any

import pytest
from tfx.components.example_validator.component import ExampleValidator
from tfx.dsl.components.base.base_component import BaseComponent
from tfx.dsl.components.common.importer import Importer
from tfx.orchestration import metadata
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.orchestration.pipeline import Pipeline
from tfx.types import standard_artifacts

from components.data_check.component import DataCheck
from components.data_check.config import DataCheckConfig
from components.data_check.executor import BASELINE_STATISTICS
from components.gate.artifact import Baseline
from components.gate.component import Stop
from components.gate.report import GateFailed, GateReport
from components.schema.component import Schema
from components.schema.config import SchemaConfig
from components.schema.schema_store import accepted_digest
from components.statistics import feature_stats
from components.statistics.component import Statistics
from components.statistics.config import StatisticsConfig


def nodes(folder: Path) -> list[BaseComponent]:
    home = str(folder / "schema.pbtxt")
    examples = Importer(
        source_uri=str(folder / "examples"),
        artifact_type=standard_artifacts.Examples,
        properties={"split_names": json.dumps(["train", "eval"])},
    ).with_id("Examples")
    baseline = Importer(
        source_uri=str(folder / "baseline"),
        artifact_type=Baseline,
        custom_properties={"served_version": 7},
    ).with_id("Baseline")
    statistics = Statistics(examples.outputs["result"], StatisticsConfig())
    counted = statistics.outputs["statistics"]
    schema = Schema(counted, SchemaConfig(home=home), accepted_digest(home))
    validator = ExampleValidator(statistics=counted, schema=schema.outputs["schema"])
    check = DataCheck(
        examples=examples.outputs["result"],
        statistics=counted,
        schema=schema.outputs["schema"],
        anomalies=validator.outputs["anomalies"],
        baseline=baseline.outputs["result"],
        config=DataCheckConfig(),
    )
    stop = Stop(check.outputs["report"])
    return [examples, baseline, statistics, schema, validator, check, stop]


def run(folder: Path) -> GateReport:
    """Returns the report, which exists whether the run was stopped or not."""
    connection = metadata.sqlite_metadata_connection_config(str(folder / "metadata.db"))
    LocalDagRunner().run(
        Pipeline(
            pipeline_name="data",
            pipeline_root=str(folder / "root"),
            components=nodes(folder),
            metadata_connection_config=connection,
        )
    )
    return report(folder)


def report(folder: Path) -> GateReport:
    (path,) = (folder / "root" / "DataCheck" / "report").glob("*/report.json")
    return GateReport.read(path)


def test_good_data_passes_and_drift_is_measured_against_the_served_version(
    tmp_path: Path, rows: Any, write_rows: Any, statistics_of: Any
) -> None:
    write_rows(tmp_path / "examples" / "Split-train", rows(300, 1))
    write_rows(tmp_path / "examples" / "Split-eval", rows(200, 2))
    served = tmp_path / "baseline" / "version"
    feature_stats.write(statistics_of(rows(300, 3)), str(served / BASELINE_STATISTICS))
    (served / "saved_model.pb").touch()

    passed = run(tmp_path)

    assert passed.passed
    assert ("drift", "image/brightness") in {(f.rule, f.subject) for f in passed.findings}
    assert passed.facts["not_compared"] == []


def test_bad_data_stops_the_run_and_the_report_stays(
    tmp_path: Path, rows: Any, write_rows: Any
) -> None:
    wrong = rows(200, 2, brightness=40)
    wrong[30]["label/text"] = "Lake"
    write_rows(tmp_path / "examples" / "Split-train", rows(300, 1))
    write_rows(tmp_path / "examples" / "Split-eval", wrong)
    (tmp_path / "baseline").mkdir()
    (tmp_path / "baseline" / "none.json").write_text("{}")

    with pytest.raises(GateFailed) as caught:
        run(tmp_path)

    for said in ("label/text", "Unexpected string values", "Forest/0030.jpg ('Lake')", "skew"):
        assert said in str(caught.value)
    kept = report(tmp_path)
    assert not kept.passed
    assert {finding.subject for finding in kept.failed} == {"label/text", "image/brightness"}
    assert "no version with statistics" in str(kept.facts["not_compared"])
