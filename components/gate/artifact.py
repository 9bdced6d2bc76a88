"""Artifact types that checks publish and that stop nodes read."""

import os

from tfx.types.artifact import Artifact, Property, PropertyType

from components.gate import report as reports


class GateReport(Artifact):
    """A folder with `report.json`; `passed` is 1 or 0 once a check has published it."""

    TYPE_NAME = "SkymillGateReport"
    PROPERTIES = {
        "gate": Property(type=PropertyType.STRING),
        "passed": Property(type=PropertyType.INT),
    }


class Rejects(Artifact):
    """Items that ingest refused, and `report.json`: the gate on their fraction."""

    TYPE_NAME = "SkymillRejects"
    PROPERTIES = {"count": Property(type=PropertyType.INT)}


class Baseline(Artifact):
    """The version being served: a folder `version/`, or the file `none.json` and -1."""

    TYPE_NAME = "SkymillBaseline"
    PROPERTIES = {"served_version": Property(type=PropertyType.INT)}


def publish(report: reports.GateReport, artifact: Artifact) -> None:
    """Write `report` into `artifact` (a GateReport) and set its properties."""
    report.write(os.path.join(artifact.uri, reports.REPORT_FILE))
    artifact.gate = report.gate
    artifact.passed = int(report.passed)


def read_report(artifact: Artifact) -> reports.GateReport:
    """The report in the root of a GateReport or Rejects artifact."""
    return reports.GateReport.read(os.path.join(artifact.uri, reports.REPORT_FILE))
