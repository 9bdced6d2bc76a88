"""The RunPage executor: renders the evidence of a run as its page."""

import os
from collections.abc import Mapping
from typing import Any

from tfx.utils import path_utils

from components.data_check.executor import BASELINE_STATISTICS
from components.gate.artifact import lasting_uri, read_report
from components.gate.baseline import baseline_dir
from components.node.executor import Artifacts, NodeExecutor
from pipelines.page.content import (
    PAGE_FILE,
    Content,
    counts_of,
    read_curve,
    read_evaluation,
    read_geojson,
)
from pipelines.page.evidence import write_evidence
from pipelines.page.gather import Sources, gather
from pipelines.page.render import run_page

_REPORTS = ("rejects", "data_report", "evaluation_report")


class Executor(NodeExecutor):
    """Reads `title` and `fingerprint`; fills `page`."""

    def execute(self, inputs: Artifacts, outputs: Artifacts, properties: Mapping[str, Any]) -> None:
        """Writes page.html, with the gathered evidence beside it."""
        folder = outputs.uri("page")
        os.makedirs(folder, exist_ok=True)
        reports = [read_report(inputs[name]) for name in _REPORTS]
        evaluation = read_evaluation(inputs.uri("evaluation"))
        served = baseline_dir(inputs.uri("baseline")) if "baseline" in inputs else None
        sources = Sources(
            split=evaluation.split,
            examples=inputs.uri("examples"),
            model=path_utils.serving_model_path(inputs.uri("model")),
            evaluation=inputs.uri("evaluation"),
            statistics=inputs.uri("statistics"),
            served_statistics=str(served / BASELINE_STATISTICS) if served else None,
        )
        evidence = gather(sources, folder)
        write_evidence(evidence, folder)
        counts = counts_of(reports[0])
        content = Content(
            title=properties["title"],
            facts={"data": properties["fingerprint"]},
            images=counts["images"],
            rejects=counts["rejects"],
            left_out=counts["left_out"],
            curve=read_curve(inputs.uri("model_run")),
            gates=reports,
            evaluation=evaluation,
            evidence=evidence,
            log_dir=os.path.join(lasting_uri(inputs["model_run"]), "logs"),
            places={name: lasting_uri(inputs[name]) for name in sorted(inputs)},
            geojson=read_geojson(folder),
        )
        with open(os.path.join(folder, PAGE_FILE), "w", encoding="utf-8") as file:
            file.write(run_page(content))
