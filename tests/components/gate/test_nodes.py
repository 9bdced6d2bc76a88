"""The stop nodes in a real local pipeline: the check's evidence outlives the stop."""

from pathlib import Path
from typing import Any

import pytest
from tfx.dsl.components.base.base_component import BaseComponent
from tfx.dsl.components.base.base_executor import BaseExecutor
from tfx.dsl.components.base.executor_spec import ExecutorClassSpec
from tfx.orchestration import metadata
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.orchestration.pipeline import Pipeline
from tfx.types.channel import Channel
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components.gate.artifact import PublishedReport, Rejects, publish, read_report
from components.gate.component import Stop, StopOnRejects
from components.gate.report import Finding, GateFailed, GateReport


class CheckExecutor(BaseExecutor):
    def Do(self, input_dict: Any, output_dict: Any, exec_properties: Any) -> None:
        finding = Finding("size", "at least ten", bool(exec_properties["ok"]), "scenes", "saw 3")
        report = GateReport("size", (finding,))
        publish(report, output_dict["report"][0])
        report.write(Path(output_dict["rejects"][0].uri) / "report.json")
        Path(exec_properties["log"]).write_text(output_dict["report"][0].uri)


class CheckSpec(ComponentSpec):
    PARAMETERS = {"ok": ExecutionParameter(type=int), "log": ExecutionParameter(type=str)}
    INPUTS = {}
    OUTPUTS = {
        "report": ChannelParameter(type=PublishedReport),
        "rejects": ChannelParameter(type=Rejects),
    }


class Check(BaseComponent):
    SPEC_CLASS = CheckSpec
    EXECUTOR_SPEC = ExecutorClassSpec(CheckExecutor)

    def __init__(self, ok: bool, log: str) -> None:
        channels = {"report": Channel(PublishedReport), "rejects": Channel(Rejects)}
        super().__init__(CheckSpec(ok=int(ok), log=log, **channels))


def run(folder: Path, ok: bool, stop: str) -> Path:
    check = Check(ok, str(folder / "log"))
    node = (Stop if stop == "report" else StopOnRejects)(**{stop: check.outputs[stop]})
    LocalDagRunner().run(
        Pipeline(
            pipeline_name="gates",
            pipeline_root=str(folder / "root"),
            components=[check, node],
            metadata_connection_config=metadata.sqlite_metadata_connection_config(
                str(folder / "metadata.db")
            ),
        )
    )
    return Path((folder / "log").read_text())


@pytest.mark.parametrize("stop", ["report", "rejects"])
def test_a_stop_node_lets_a_passed_report_through(tmp_path: Path, stop: str) -> None:
    folder = run(tmp_path, True, stop)
    assert GateReport.read(folder / "report.json").passed


@pytest.mark.parametrize("stop", ["report", "rejects"])
def test_a_stop_node_fails_the_run_and_the_evidence_stays(tmp_path: Path, stop: str) -> None:
    with pytest.raises(GateFailed, match="size: at least ten: scenes: saw 3"):
        run(tmp_path, False, stop)

    report = PublishedReport()
    report.uri = (tmp_path / "log").read_text()
    assert not read_report(report).passed
