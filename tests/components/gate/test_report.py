"""A gate report keeps its evidence, and names all failed findings when it blocks."""

import json
import math
from pathlib import Path

import pytest

from components.gate.report import Finding, GateFailed, GateReport, message, require_passed
from components.raster.errors import DataError, SkymillError

GOOD = Finding("data", "drift", True, "image/brightness", "0.01 is within 0.1")
BAD = Finding("data", "unknown value", False, "label/text", "'Lake' is not a class; accept it")
WORSE = Finding("data", "skew", False, "region", "0.6 exceeds 0.3; look at the split")


def test_passes_exactly_when_every_finding_passed() -> None:
    assert GateReport("data", (GOOD, GOOD)).passed
    assert not GateReport("data", (GOOD, BAD)).passed
    assert GateReport("data").passed


def test_survives_its_file(tmp_path: Path) -> None:
    report = GateReport("data", (GOOD, BAD), {"served_version": 3, "splits": ["train", "eval"]})
    path = tmp_path / "deep" / "report.json"

    report.write(path)
    report.write(path)

    assert GateReport.read(path) == report
    assert [p.name for p in path.parent.iterdir()] == ["report.json"], "no temporary file is left"


def test_is_strict_json_even_with_numbers_that_are_not_finite() -> None:
    text = GateReport("data", (), {"auc": math.nan, "loss": [math.inf, 0.5]}).to_json()

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    facts = json.loads(text, parse_constant=refuse)["facts"]
    assert facts == {"auc": "nan", "loss": ["inf", 0.5]}


def test_blocking_names_gate_rule_subject_and_detail_of_every_failure() -> None:
    report = GateReport("data", (GOOD, BAD, WORSE))

    with pytest.raises(GateFailed) as caught:
        require_passed(report)

    assert isinstance(caught.value, SkymillError)
    assert caught.value.report == report
    for finding in (BAD, WORSE):
        for part in (finding.gate, finding.rule, finding.subject, finding.detail):
            assert part in str(caught.value)
    assert GOOD.detail not in str(caught.value)
    assert "2 of 3" in str(caught.value)


def test_passing_lets_through() -> None:
    require_passed(GateReport("data", (GOOD,)))
    assert "passed" in message(GateReport("data", (GOOD,)))


@pytest.mark.parametrize("text", ["", "[]", '{"gate": "x"}', '{"gate":"x","findings":[{}]}'])
def test_a_damaged_report_is_refused(text: str) -> None:
    with pytest.raises(DataError, match="not a gate report"):
        GateReport.from_json(text)


def test_a_report_that_contradicts_itself_is_refused() -> None:
    text = GateReport("data", (BAD,)).to_json().replace('"passed": false', '"passed": true', 1)
    with pytest.raises(DataError, match="contradicts"):
        GateReport.from_json(text)


def test_a_missing_report_says_where(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no gate report at .*report\.json"):
        GateReport.read(tmp_path / "report.json")
