"""The RunPage executor: renders reports, curve and metrics of a run as its page."""

import os
from typing import Any

from tfx.dsl.components.base.base_executor import BaseExecutor
from tfx.types import Artifact, artifact_utils

from components.gate.artifact import read_report
from pipelines.page.content import PAGE_FILE, Content, counts_of, read_curve, read_evaluation
from pipelines.page.render import run_page

_REPORTS = ("rejects", "data_report", "evaluation_report")


class Executor(BaseExecutor):
    """Reads `title` and `fingerprint`; fills `page`."""

    def Do(
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes page.html."""
        self._log_startup(input_dict, output_dict, exec_properties)
        given = {
            name: artifact_utils.get_single_instance(found) for name, found in input_dict.items()
        }
        reports = [read_report(given[name]) for name in _REPORTS]
        content = Content(
            title=exec_properties["title"],
            facts={"data": exec_properties["fingerprint"]},
            **counts_of(reports[0]),
            curve=read_curve(given["model_run"].uri),
            gates=reports,
            evaluation=read_evaluation(given["evaluation"].uri),
        )
        folder = artifact_utils.get_single_uri(output_dict["page"])
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, PAGE_FILE), "w", encoding="utf-8") as file:
            file.write(run_page(content))
