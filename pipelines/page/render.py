"""Self-contained HTML pages that escape every text."""

import base64
import functools
import math
from typing import Any

from components.evaluation.result import Evaluation
from components.gate.report import GateReport
from pipelines.page.content import Content, shown_value
from pipelines.page.curves import curve_svg, panels_of
from trainer.tune.results import Results, shown


def run_page(content: Content) -> str:
    """Renders the page of a run as HTML."""
    drawn = content.curve and panels_of(content.curve)
    return _render(
        "run.html",
        run=content,
        curve=curve_svg(content.curve) if drawn else "",
        metrics=_metrics(content.evaluation),
        shown_value=shown_value,
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
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("pipelines.page", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = _number
    return environment


def _number(value: float | None) -> str:
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:,.0f}" if value == int(value) and abs(value) >= 2 else f"{value:.3f}"


def _metrics(evaluation: Evaluation | None) -> tuple[str, ...]:
    """Returns the columns of the slice table: the metrics with one value per slice."""
    overall = evaluation.overall if evaluation else None
    names = overall.candidate if overall else ()
    return tuple(name for name in names if "/" not in name and not name.endswith("_count"))
