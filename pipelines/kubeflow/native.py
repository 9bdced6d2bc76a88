"""What Kubeflow's pages show of a node: metrics, a confusion matrix, a report as HTML."""

import html
import math
import os
from typing import Any

from components.evaluation.result import METRICS_FILE, Evaluation
from components.gate.report import REPORT_FILE, GateReport
from pipelines.kubeflow.views import CONFUSION, METRICS, View

_STYLE = (
    "body{font:14px sans-serif;margin:1.5em}table{border-collapse:collapse}"
    "td,th{border:1px solid #ccc;padding:.3em .6em;text-align:left;vertical-align:top}"
    ".no{background:#fdd}.yes{background:#dfd}"
)


def make_view(view: View, source: str, target: str) -> dict[str, Any]:
    """Makes one view and returns its metadata; HTML is written to the file `target`.

    Args:
        view: which one.
        source: the folder of the output that it shows.
        target: the path of the view.
    """
    if view.schema in (METRICS, CONFUSION):
        with open(os.path.join(source, METRICS_FILE), encoding="utf-8") as file:
            evaluation = Evaluation.from_json(file.read())
        return metrics_of(evaluation) if view.schema == METRICS else confusion_of(evaluation)
    page = report_page(GateReport.read(os.path.join(source, REPORT_FILE)))
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with open(target, "w", encoding="utf-8") as file:
        file.write(page)
    return {}


def metrics_of(evaluation: Evaluation) -> dict[str, Any]:
    """The metrics over all examples, as system.Metrics has them; those not finite are left out."""
    overall = evaluation.overall
    candidate = overall.candidate if overall else {}
    return {name: value for name, value in candidate.items() if math.isfinite(value)}


def confusion_of(evaluation: Evaluation) -> dict[str, Any]:
    """The confusion matrix as system.ClassificationMetrics has it: a row for each true class."""
    if not evaluation.confusion:
        return {}
    return {
        "confusionMatrix": {
            "annotationSpecs": [{"displayName": name} for name in evaluation.confusion_classes],
            "rows": [{"row": list(row)} for row in evaluation.confusion],
        }
    }


def report_page(report: GateReport) -> str:
    """A gate's report as a page that loads nothing; failed findings first."""
    findings = sorted(report.findings, key=lambda finding: finding.passed)
    rows = "".join(
        f'<tr class="{"yes" if it.passed else "no"}"><td>{"passed" if it.passed else "failed"}</td>'
        + "".join(f"<td>{html.escape(text)}</td>" for text in (it.rule, it.subject, it.detail))
        + "</tr>"
        for it in findings
    )
    facts = "".join(
        f"<tr><th>{html.escape(str(name))}</th><td>{html.escape(str(value))}</td></tr>"
        for name, value in report.facts.items()
    )
    title = f"{html.escape(report.gate)}: {'passed' if report.passed else 'failed'}"
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style><h1>{title}</h1>"
        f"<table><tr><th></th><th>rule</th><th>subject</th><th>detail</th></tr>{rows}</table>"
        f"<h2>Facts</h2><table>{facts}</table></html>\n"
    )
