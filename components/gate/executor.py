"""Executor of the stop nodes: raises when a published report has failed."""

from typing import Any

from tfx.dsl.components.base.base_executor import BaseExecutor
from tfx.types import Artifact, artifact_utils

from components.gate.artifact import read_report
from components.gate.report import require_passed


class Executor(BaseExecutor):
    """Reads the report of its only input; the check that wrote it has kept the evidence."""

    def Do(
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Raises GateFailed, naming every failed finding."""
        self._log_startup(input_dict, output_dict, exec_properties)
        (artifacts,) = input_dict.values()
        require_passed(read_report(artifact_utils.get_single_instance(artifacts)))
