"""The user's own gates: their findings, and gates that fail."""

from collections.abc import Iterator

import pytest

from components.evaluation.result import EvaluationResult, SliceMetrics
from components.gate.report import Finding
from pipelines.config.gates import CustomGate
from pipelines.config.tree import parse_config
from pipelines.definition.resolve import RunInputs
from pipelines.definition.training import pipeline_nodes
from pipelines.gates.judge import Evidence, judge
from pipelines.kubeflow.contract.prepared import prepared

BALANCED = {"name": "balanced", "call": "skymill_example.gates:balanced_recall"}


def here(name: str) -> CustomGate:
    return CustomGate(name="own", call=f"{__name__}:{name}")


def evidence(**recalls: float) -> Evidence:
    metrics = {f"recall/{name}": value for name, value in recalls.items()}
    overall = SliceMetrics((), metrics)
    return Evidence(EvaluationResult("test", tuple(recalls), None, None, (overall,)), {}, {})


def failing(evidence: Evidence) -> Iterator[Finding]:
    yield Finding("", "seen", True, "all", "before it failed")
    raise KeyError("region")


def wordy(evidence: Evidence) -> list[str]:
    return ["all is well"]


def silent(evidence: Evidence) -> None:
    return None


def test_findings_bear_the_gates_name_and_block() -> None:
    gate = CustomGate.model_validate({**BALANCED, "arguments": {"most_behind": 0.2}})
    report = judge([gate], evidence(forest=0.9, water=0.75, soil=0.5))
    assert not report.passed
    (failed,) = report.failed
    assert (failed.gate, failed.subject) == ("balanced", "soil")
    assert failed.detail == "recall is 0.5, the best 0.9: add examples of soil"
    assert judge([gate], evidence(forest=0.9, water=0.75)).passed


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("failing", "failing failed with KeyError: 'region'"),
        ("wordy", "wordy returned a str instead of a Finding"),
        ("silent", "silent failed with TypeError"),
        ("absent", "has no absent"),
    ],
)
def test_a_gate_that_cannot_judge_blocks(name: str, why: str) -> None:
    report = judge([here(name)], evidence())
    (failed,) = report.failed
    assert failed.rule == "a gate that can judge"
    assert failed.subject == "gates.0.call"
    assert why in failed.detail


def test_the_pipeline_has_its_node_only_where_there_is_a_gate() -> None:
    tree = {
        "name": "photos",
        "ingest": {"source": {"kind": "folders", "uri": "photos"}},
        "push": {"model_dir": "models"},
    }
    inputs = RunInputs(fingerprint="", schema_sha256="")
    plain, gated = (parse_config(it, "/nowhere") for it in (tree, {**tree, "gates": [BALANCED]}))
    nodes = [node.id for node in pipeline_nodes(gated, inputs)]
    place = nodes.index("StopOnMetrics")
    assert nodes[place + 1 : place + 3] == ["OwnGates", "StopOnOwnGates"]
    assert [node.id for node in pipeline_nodes(plain, inputs)] == [
        node for node in nodes if "OwnGates" not in node
    ]
    assert prepared(gated)["OwnGates", "code"] == "gates_code"
    assert ("OwnGates", "code") not in prepared(plain)
