"""Findings of the user's own gates, from a run's measurements."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from tensorflow_metadata.proto.v0 import statistics_pb2

from components.evaluation.result import EvaluationResult
from components.gate.report import Finding, GateReport
from components.raster.errors import SkymillError
from components.raster.messages import first_line
from pipelines.config.gates import CustomGate

#: Name of the report on all of the user's own gates.
GATE = "own"
Statistics: TypeAlias = statistics_pb2.DatasetFeatureStatistics


@dataclass(frozen=True)
class Evidence:
    """Measurements of a run before it pushes.

    Attributes:
        evaluation: metrics of the candidate and the baseline, by slice.
        statistics: TFDV's statistics of the examples, by split.
        reports: the reports on rejects, data and metrics, by gate.
    """

    evaluation: EvaluationResult
    statistics: Mapping[str, Statistics]
    reports: Mapping[str, GateReport]


def judge(gates: Sequence[CustomGate], evidence: Evidence) -> GateReport:
    """Calls every gate; one that raises, or returns anything but findings, is a failed finding."""
    findings = [
        replace(finding, gate=gate.name)
        for number, gate in enumerate(gates)
        for finding in _findings(gate, f"gates.{number}.call", evidence)
    ]
    return GateReport(GATE, tuple(findings), {"gates": [gate.name for gate in gates]})


def _findings(gate: CustomGate, key: str, evidence: Evidence) -> list[Finding]:
    try:
        found: list[Any] = list(gate.bound(key)(evidence))
    except SkymillError as error:
        return [_fault(key, str(error))]
    except Exception as error:  # the user's code may raise anything
        why = f"{gate.call} failed with {type(error).__name__}: {first_line(error)}"
        return [_fault(key, why)]
    strange = [each for each in found if not isinstance(each, Finding)]
    if strange:
        why = f"{gate.call} returned a {type(strange[0]).__name__} instead of a Finding"
        return [_fault(key, why)]
    return found


def _fault(key: str, why: str) -> Finding:
    return Finding(GATE, "a gate that can judge", False, key, f"{why}; correct the gate")
