"""The RunPage executor: renders reports, curve and metrics of a run as its page."""

import os
from collections.abc import Mapping
from typing import Any

from components.gate.artifact import read_report
from components.node.executor import Artifacts, NodeExecutor
from pipelines.page.content import PAGE_FILE, Content, counts_of, read_curve, read_evaluation
from pipelines.page.render import run_page

_REPORTS = ("rejects", "data_report", "evaluation_report")


class Executor(NodeExecutor):
    """Reads `title` and `fingerprint`; fills `page`."""

    def execute(self, inputs: Artifacts, outputs: Artifacts, properties: Mapping[str, Any]) -> None:
        """Writes page.html."""
        reports = [read_report(inputs[name]) for name in _REPORTS]
        content = Content(
            title=properties["title"],
            facts={"data": properties["fingerprint"]},
            **counts_of(reports[0]),
            curve=read_curve(inputs.uri("model_run")),
            gates=reports,
            evaluation=read_evaluation(inputs.uri("evaluation")),
        )
        folder = outputs.uri("page")
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, PAGE_FILE), "w", encoding="utf-8") as file:
            file.write(run_page(content))
