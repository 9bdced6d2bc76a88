"""Artifact types that checks publish and that stop nodes read.

Their properties are custom properties of the artifact, because TFX's compiler for Kubeflow refuses
user types that declare properties.
"""

import os

from tfx.types.artifact import Artifact

from components.gate import report as reports
from components.raster.errors import DataError

#: Custom property with the permanent URI of an input that this step reads from a mount.
STORE_URI = "store_uri"


def lasting_uri(artifact: Artifact) -> str:
    """Returns an artifact's permanent URI; in a container its own URI is that of a mount."""
    if artifact.has_custom_property(STORE_URI):
        return str(artifact.get_string_custom_property(STORE_URI))
    return str(artifact.uri)


class _Properties(Artifact):
    """Custom properties by name; a missing one is an error, not TFX's zero."""

    def _integer(self, name: str) -> int:
        if not self.has_custom_property(name):
            raise DataError(f"{self.uri}: the artifact has no property {name}: run its node again")
        return int(self.get_int_custom_property(name))


class PublishedReport(_Properties):
    """A folder with `report.json`; `passed` is 1 or 0 once a check has published it."""

    TYPE_NAME = "skymill.GateReport"

    @property
    def passed(self) -> int:
        """The value 1 or 0; raises DataError if no check has published yet."""
        return self._integer("passed")

    @passed.setter
    def passed(self, passed: int) -> None:
        self.set_int_custom_property("passed", passed)


class Rejects(_Properties):
    """Items that ingest refused, with `report.json`: the gate on their fraction."""

    TYPE_NAME = "skymill.Rejects"

    @property
    def count(self) -> int:
        """Number of items; raises DataError before ingest has ended."""
        return self._integer("count")

    @count.setter
    def count(self, count: int) -> None:
        self.set_int_custom_property("count", count)


class Baseline(_Properties):
    """Served version: a folder `version/`, or the file `none.json` and -1."""

    TYPE_NAME = "skymill.Baseline"

    @property
    def served_version(self) -> int:
        """Number of the served version, or -1; raises DataError before the Baseline node ends."""
        return self._integer("served_version")

    @served_version.setter
    def served_version(self, version: int) -> None:
        self.set_int_custom_property("served_version", version)


def publish(report: reports.GateReport, artifact: Artifact) -> None:
    """Writes `report` into `artifact` (a PublishedReport) and sets its properties."""
    report.write(os.path.join(artifact.uri, reports.REPORT_FILE))
    artifact.set_string_custom_property("gate", report.gate)
    artifact.passed = int(report.passed)


def read_report(artifact: Artifact) -> reports.GateReport:
    """Reads the report in the root of a PublishedReport or Rejects artifact."""
    return reports.GateReport.read(os.path.join(artifact.uri, reports.REPORT_FILE))
