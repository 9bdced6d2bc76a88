"""Executor of the stop nodes: raises when a published report has failed."""

from collections.abc import Mapping
from typing import Any

from components.gate.artifact import read_report
from components.gate.report import require_passed
from components.node.executor import Artifacts, NodeExecutor


class Executor(NodeExecutor):
    """Reads the report in its only input; the check that wrote it has kept the evidence."""

    def execute(self, inputs: Artifacts, outputs: Artifacts, properties: Mapping[str, Any]) -> None:
        """Raises GateFailed, naming every failed finding."""
        (report,) = inputs.values()
        require_passed(read_report(report))
