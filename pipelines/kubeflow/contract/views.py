"""Outputs for Kubeflow's pages only: metrics, a confusion matrix, HTML."""

from collections.abc import Mapping
from dataclasses import dataclass

METRICS = "system.Metrics"
CONFUSION = "system.ClassificationMetrics"
HTML = "system.HTML"

_EVALUATION = "tfx.types.standard_artifacts.ModelEvaluation"
_PAGES = (
    "components.gate.artifact.PublishedReport",
    "components.gate.artifact.Rejects",
    "pipelines.page.component.Page",
    "tfx.types.standard_artifacts.TunerResults",
)


@dataclass(frozen=True)
class OutputView:
    """An output named `name` of Kubeflow's type `schema`, made from the node's output `source`."""

    name: str
    schema: str
    source: str


def views_of(outputs: Mapping[str, str]) -> tuple[OutputView, ...]:
    """Returns the views of a node, by the classes of its outputs."""
    views: list[OutputView] = []
    for name, type_path in outputs.items():
        if type_path == _EVALUATION:
            views += [
                OutputView("metrics", METRICS, name),
                OutputView("confusion_matrix", CONFUSION, name),
            ]
        if type_path in _PAGES:
            views.append(OutputView(f"{name}_html", HTML, name))
    return tuple(views)
