"""Self-contained HTML pages that escape every text and run no script."""

import base64
import functools
from typing import Any

from components.gate.report import GateReport
from components.node.pages import page_templates
from pipelines.page.charts.svg import shortened
from pipelines.page.content import Content, shown_value
from pipelines.page.figures import (
    confidence_figures,
    curve_figures,
    drift_figures,
    evaluation_figures,
    map_figure,
    training_figures,
)
from pipelines.page.geojson import GEOJSON_FILE
from pipelines.page.tables import confusion_of, headline_of, metrics_of, most_confused
from trainer.tune.results import Results, shown

_MOST_SLICES = 200
_SECTIONS = {
    "gates": "Gates",
    "metrics": "Metrics",
    "confidence": "Confidence",
    "decisions": "Decisions",
    "curves": "Thresholds",
    "examples": "Examples",
    "map": "Map",
    "data": "Data",
    "training": "Training",
    "artifacts": "Artifacts",
}


def run_page(content: Content) -> str:
    """Renders the page of a run as HTML."""
    evaluation, evidence = content.evaluation, content.evidence
    decisions = evaluation.decisions if evaluation else ()
    parts: dict[str, Any] = {
        "gates": content.gates,
        "metrics": metrics_of(evaluation),
        "confidence": list(confidence_figures(evaluation, evidence.confidence)),
        "decisions": decisions,
        "curves": curve_figures(evidence.curves, decisions),
        "examples": evidence.groups,
        "map": map_figure(evidence, evaluation.split if evaluation else ""),
        "data": True,
        "training": training_figures(content.curve),
        "artifacts": content.places,
    }
    return _render(
        "run.html",
        run=content,
        sections=[(name, _SECTIONS[name]) for name, part in parts.items() if part],
        headline=headline_of(evaluation),
        measured=list(evaluation_figures(evaluation)) if evaluation else [],
        confusion=confusion_of(evaluation),
        confused=most_confused(evaluation),
        drift=drift_figures(evidence),
        geojson=base64.b64encode(content.geojson).decode("ascii"),
        geojson_file=GEOJSON_FILE,
        shown_value=shown_value,
        most_slices=_MOST_SLICES,
        **parts,
    )


def report_page(report: GateReport) -> str:
    """Renders a gate's report as HTML, failed findings first."""
    return _render("report.html", report=report)


def trials_page(results: Results, picture: bytes) -> str:
    """Renders the trials of a search as HTML, with their picture (PNG) embedded."""
    data = base64.b64encode(picture).decode("ascii")
    return _render("trials.html", results=results, picture=data, shown=shown)


def _render(template: str, **values: Any) -> str:
    text: str = _templates().get_template(template).render(**values)
    return text


@functools.cache
def _templates() -> Any:
    return page_templates("pipelines.page", cut=_cut, interval=_interval)


def _interval(bounds: tuple[float, float] | None) -> str:
    return f"({bounds[0]:.3f} to {bounds[1]:.3f})" if bounds else ""


def _cut(text: str, most: int = 120) -> str:
    return shortened(text, most)
