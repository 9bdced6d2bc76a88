"""Content of a run's page, from the evidence that its nodes published."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from components.evaluation.result import EvaluationResult, SliceMetrics
from components.gate.report import GateReport
from components.node.files import METRICS_FILE
from components.raster.walk import FILES_LEFT_OUT
from pipelines.page.evidence import PageEvidence
from pipelines.page.geojson import GEOJSON_FILE
from trainer.training.progress import PROGRESS_FILE

PAGE_FILE = "page.html"
#: Larger files are not embedded in a page, but lie beside it.
_MOST_GEOJSON_BYTES = 600_000
HISTORY_FILE = os.path.join("logs", "history.json")

#: One row of a learning curve: numbers by name, including an epoch's metrics.
CurveRow = Mapping[str, float]


@dataclass(frozen=True)
class Content:
    """A run up to its last finished node.

    Attributes:
        title: the pipeline's name.
        outcome: outcome of the run, once it has ended.
        facts: short texts by label, shown at the top.
        images: examples by split.
        rejects: refused items by reason.
        left_out: tiles that are neither, by reason.
        curve: a row for each epoch.
        gates: the reports of the checks that were reached, in order.
        evaluation: the measured metrics, or None if no model was evaluated.
        evidence: what was gathered from the test split for the page's pictures.
        places: folders and files of the run, or their addresses, by what they hold.
        links: addresses relative to the page, by place, of those that a browser can open.
        log_dir: folder of the training's logs, for TensorBoard.
        geojson: the test split as GeoJSON; empty if there is none, or it is too large for a page.
    """

    title: str
    outcome: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    images: Mapping[str, int] = field(default_factory=dict)
    rejects: Mapping[str, int] = field(default_factory=dict)
    left_out: Mapping[str, int] = field(default_factory=dict)
    curve: Sequence[CurveRow] = ()
    gates: Sequence[GateReport] = ()
    evaluation: EvaluationResult | None = None
    evidence: PageEvidence = field(default_factory=PageEvidence)
    places: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    log_dir: str = ""
    geojson: bytes = b""


def shown_value(item: SliceMetrics, metric: str) -> float | None:
    """Returns a metric of a slice; None for a mean over classes where the slice has one class."""
    return (
        None if metric.startswith("macro_") and item.is_of_one_class else item.candidate.get(metric)
    )


def counts_of(ingest: GateReport) -> dict[str, dict[str, int]]:
    """Returns the counts of images, rejects and left-out tiles in ingest's report."""
    return {
        "images": _counts(ingest.facts.get("images")),
        "rejects": _counts(ingest.facts.get("rejects")),
        "left_out": _left_out(_counts(ingest.facts.get("ignored"))),
    }


def read_curve(model_run: str) -> tuple[CurveRow, ...]:
    """Reads the learning curve in a ModelRun artifact's folder; partial for a training that did
    not end, empty if there is none.
    """
    path = os.path.join(model_run, HISTORY_FILE)
    if not os.path.exists(path):
        return _begun(os.path.join(model_run, "logs", PROGRESS_FILE))
    with open(path, encoding="utf-8") as file:
        return tuple(_numbers(row) for row in json.load(file)["epochs"])


def _begun(path: str) -> tuple[CurveRow, ...]:
    """Reads the rows written so far, without `epochs`, the planned number of epochs."""
    if not os.path.exists(path):
        return ()
    with open(path, encoding="utf-8") as file:
        lines = [line for line in file if line.endswith("\n")]
    rows = (json.loads(line) for line in lines)
    return tuple(_numbers({name: row[name] for name in row if name != "epochs"}) for row in rows)


def read_best(model_run: str) -> CurveRow:
    """Reads the row of the learning curve whose weights the model has."""
    with open(os.path.join(model_run, HISTORY_FILE), encoding="utf-8") as file:
        return _numbers(json.load(file)["best"])


def read_evaluation(folder: str) -> EvaluationResult:
    """Reads the metrics in an evaluation's folder."""
    with open(os.path.join(folder, METRICS_FILE), encoding="utf-8") as file:
        return EvaluationResult.from_json(file.read())


def read_geojson(folder: str) -> bytes:
    """Reads the map's GeoJSON beside a page; empty if there is none, or it is too large for it."""
    path = os.path.join(folder, GEOJSON_FILE)
    if not os.path.exists(path) or os.path.getsize(path) > _MOST_GEOJSON_BYTES:
        return b""
    with open(path, "rb") as file:
        return file.read()


def _counts(value: Any) -> dict[str, int]:
    return dict(value) if isinstance(value, dict) else {}


def _left_out(ignored: Mapping[str, int]) -> dict[str, int]:
    """Returns the items that ingest ignored, by reason, without files that are not images."""
    names = (name for name in ignored if name.startswith("(") and name not in FILES_LEFT_OUT)
    return {name[1:-1]: ignored[name] for name in names}


def _numbers(row: Mapping[str, Any]) -> dict[str, float]:
    """Returns a row with the metrics of its inner mapping merged into the other numbers."""
    found: dict[str, float] = {}
    for name, value in row.items():
        if isinstance(value, Mapping):
            found |= _numbers(value)
        elif isinstance(value, int | float):
            found[name] = float(value)
    return found
