"""Writes a node's views for Kubeflow's pages: metrics, a confusion matrix, a report as HTML."""

import math
import os
import shutil
from typing import Any

from components.evaluation.result import EvaluationResult
from components.gate.report import REPORT_FILE, GateReport
from components.node.files import METRICS_FILE
from pipelines.kubeflow.contract.views import CONFUSION, METRICS, OutputView
from pipelines.page.content import PAGE_FILE
from pipelines.page.render import report_page, trials_page
from trainer.tune.results import JSON_FILE as TRIALS_FILE
from trainer.tune.results import PICTURE_FILE, read_results


def make_view(view: OutputView, source: str, target: str) -> dict[str, Any]:
    """Makes one view and returns its metadata; writes HTML to the file `target`.

    Args:
        view: the view to make.
        source: the folder of the output that it shows.
        target: the path of the view.
    """
    if view.schema in (METRICS, CONFUSION):
        with open(os.path.join(source, METRICS_FILE), encoding="utf-8") as file:
            evaluation = EvaluationResult.from_json(file.read())
        return metrics_of(evaluation) if view.schema == METRICS else confusion_of(evaluation)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    made = os.path.join(source, PAGE_FILE)
    if os.path.exists(made):
        shutil.copyfile(made, target)
        return {}
    with open(target, "w", encoding="utf-8") as file:
        file.write(_page(source))
    return {}


def _page(source: str) -> str:
    if not os.path.exists(os.path.join(source, TRIALS_FILE)):
        return report_page(GateReport.read(os.path.join(source, REPORT_FILE)))
    with open(os.path.join(source, PICTURE_FILE), "rb") as file:
        return trials_page(read_results(source), file.read())


def metrics_of(evaluation: EvaluationResult) -> dict[str, Any]:
    """Returns the overall metrics in the format of system.Metrics, without non-finite values."""
    overall = evaluation.overall
    candidate = overall.candidate if overall else {}
    return {name: value for name, value in candidate.items() if math.isfinite(value)}


def confusion_of(evaluation: EvaluationResult) -> dict[str, Any]:
    """Returns the confusion matrix for system.ClassificationMetrics: a row for each true class."""
    if not evaluation.confusion:
        return {}
    return {
        "confusionMatrix": {
            "annotationSpecs": [{"displayName": name} for name in evaluation.confusion_classes],
            "rows": [{"row": list(row)} for row in evaluation.confusion],
        }
    }
