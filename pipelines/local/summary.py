"""Summary of a run, from the evidence that its nodes published."""

import json
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast
from urllib.parse import quote

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from components.evaluation.result import EvaluationResult
from components.evaluation.tasks.measures import class_metric
from components.evaluation.tasks.registry import evaluated_task
from components.evaluation.test_size import TOO_FEW
from components.gate.report import REPORT_FILE, GateReport, line_of
from components.raster.strict_json import strict_json
from pipelines.local.console import plain_table
from pipelines.local.rare_classes import are_uneven, rare_classes, read_rare
from pipelines.local.record import BLOCKED, SUCCEEDED, Artifact, RunRecord
from pipelines.local.temperature import read_temperature, temperature_line
from pipelines.local.tuning import keep_tuning, tuning_of, tuning_table
from pipelines.page.content import (
    PAGE_FILE,
    Content,
    counts_of,
    read_curve,
    read_evaluation,
    read_geojson,
    shown_value,
)
from pipelines.page.curves import write_curve_png
from pipelines.page.evidence import PageEvidence, read_evidence
from pipelines.page.geojson import GEOJSON_FILE
from pipelines.page.render import run_page
from pipelines.prediction.run import FOLDER_PROPERTY
from trainer.tune.results import Results

SUMMARY_FILE, CURVE_FILE = "summary.json", "learning_curve.png"
_MOST_CLASSES, _MOST_NOTES = 30, 3
_REPORTS = ("skymill.GateReport", "skymill.Rejects")
_STYLES = {SUCCEEDED: "bold green", BLOCKED: "bold yellow"}


@dataclass(frozen=True)
class RunSummary:
    """A run in numbers.

    Attributes:
        images: examples by split.
        rejects: refused items by reason.
        left_out: tiles that are neither, by the setting that excluded them.
        gates: the reports of the checks that were reached, in order.
        evaluation: the measured metrics, or None if no model was evaluated.
        tuning: the trials of a search, or None without one.
        rare: the training's report on rare classes, or None without classes.
        places: paths by what they hold.
    """

    record: RunRecord
    images: dict[str, int]
    rejects: dict[str, int]
    left_out: dict[str, int]
    gates: tuple[GateReport, ...]
    evaluation: EvaluationResult | None
    tuning: Results | None
    places: dict[str, str]
    rare: dict[str, Any] | None = None
    temperature: dict[str, Any] | None = None


def summarise(record: RunRecord, folder: str) -> RunSummary:
    """Reads the evidence of a run; writes ``summary.json`` and ``page.html`` into its folder."""
    reports = {node_id: _report(artifact) for node_id, artifact in _artifacts(record, _REPORTS)}
    summary = RunSummary(
        record,
        **counts_of(reports.get("Ingest", GateReport("rejects"))),
        gates=tuple(reports.values()),
        evaluation=_evaluation(record),
        tuning=tuning_of(record),
        rare=_of_training(record, read_rare),
        temperature=_of_training(record, read_temperature),
        places=_output_paths(record, folder),
    )
    summary = replace(summary, places=summary.places | _write_page(summary, folder))
    keep_tuning(record, folder)
    with open(os.path.join(folder, SUMMARY_FILE), "w", encoding="utf-8") as file:
        file.write(to_json(summary))
    return summary


def to_json(summary: RunSummary) -> str:
    """Returns the summary as JSON."""
    document = {
        "run_id": summary.record.run_id,
        "name": summary.record.name,
        "outcome": summary.record.outcome,
        "reason": summary.record.reason,
        "started": summary.record.started,
        "ended": summary.record.ended,
        "fingerprint": summary.record.fingerprint,
        "span": summary.record.span,
        "images": summary.images,
        "rejects": summary.rejects,
        "left_out": summary.left_out,
        "gates": [json.loads(gate.to_json()) for gate in summary.gates],
        "metrics": json.loads(summary.evaluation.to_json()) if summary.evaluation else None,
        "tuning": json.loads(summary.tuning.to_json()) if summary.tuning else None,
        "rare_classes": summary.rare,
        "temperature": summary.temperature,
        "pushed_version": summary.record.pushed_version,
        "push_warning": summary.record.push_warning,
        "nodes": {node.node_id: node.state for node in summary.record.nodes},
        "places": summary.places,
    }
    return strict_json(document, indent=2) + "\n"


def print_summary(summary: RunSummary, console: Console, as_json: bool = False) -> None:
    """Prints the summary as tables or as JSON."""
    if as_json:
        console.file.write(to_json(summary))
        return
    record = summary.record
    console.print()
    if summary.images:
        console.print(_images_table(summary), "")
    if summary.rare and are_uneven(summary.rare):
        console.print(rare_classes(summary.rare), soft_wrap=True, markup=False)
        console.print()
    if summary.temperature:
        console.print(temperature_line(summary.temperature), soft_wrap=True, markup=False)
        console.print()
    if summary.tuning:
        console.print(tuning_table(summary.tuning), "")
    if summary.evaluation:
        console.print(_metrics_table(summary.evaluation), "")
        if (classes := _classes_table(summary.evaluation)) is not None:
            console.print(classes, "")
    if summary.gates:
        console.print(_gates_table(summary.gates), "")
    _print_too_few(summary.gates, console)
    _print_output_paths(summary.places, console)
    console.print()
    of_span = f" on span {record.span}" if record.span else ""
    verdict = f"{record.name}: {record.outcome}{of_span}"
    if record.pushed_version is not None:
        verdict += f", version {record.pushed_version}"
        verdict += " pushed" if record.is_new_version else ", the same model, was there already"
    console.print(verdict, style=_STYLES.get(record.outcome, "bold red"))
    for text in filter(None, (record.push_warning, _reason(summary))):
        console.print(text, soft_wrap=True, markup=False)


def _reason(summary: RunSummary) -> str:
    """Returns the reason of the outcome, without the findings that the gates' rows already show."""
    listed = {line_of(finding) for gate in summary.gates for finding in gate.failed}
    lines = (line for line in summary.record.reason.splitlines() if line.strip() not in listed)
    return "\n".join(lines)


def _images_table(summary: RunSummary) -> Table:
    table = plain_table("images", "count")
    for split, count in summary.images.items():
        table.add_row(f"  {split}", str(count))
    for reason, count in summary.rejects.items():
        table.add_row(f"  rejected: {reason}", str(count))
    for name, count in summary.left_out.items():
        table.add_row(f"  left out: {name}", str(count))
    return table


def _checks(count: int) -> str:
    return f"{count} check" if count == 1 else f"{count} checks"


def _of_training(
    record: RunRecord, read: Callable[[str], dict[str, Any] | None]
) -> dict[str, Any] | None:
    trainer = record.node("Trainer")
    return read(trainer.uri("model_run")) if trainer else None


def _metrics_table(evaluation: EvaluationResult) -> Table:
    """Returns the metrics by slice, with the baseline's headline metric beside the candidate's."""
    evaluated = evaluated_task(evaluation.task)
    columns = ("examples", evaluated.title, "95 %", "served", *evaluated.columns)
    table = plain_table(f"metrics on {evaluation.split}", *columns)
    for item in evaluation.slices:
        served = "" if item.baseline is None else _number(item.baseline.get(evaluated.headline))
        table.add_row(
            item.name,
            str(item.examples),
            _number(item.candidate.get(evaluated.headline)),
            _interval(item.interval),
            served,
            *(_number(shown_value(item, metric)) for metric in evaluated.columns.values()),
        )
    return table


def _classes_table(evaluation: EvaluationResult) -> Table | None:
    """Returns the metrics of each class over the whole split; precision is among all classes."""
    evaluated, overall = evaluated_task(evaluation.task), evaluation.overall
    if overall is None or not evaluated.class_metrics or len(evaluation.classes) < 2:
        return None
    titles = (name.replace("_", " ") for name in evaluated.class_metrics)
    table = plain_table(f"classes on {evaluation.split}", "examples", *titles)
    for name in evaluation.classes[:_MOST_CLASSES]:
        values = (overall.candidate.get(class_metric(it, name)) for it in evaluated.class_metrics)
        table.add_row(escape(name), str(overall.support(name)), *map(_number, values))
    if (more := len(evaluation.classes) - _MOST_CLASSES) > 0:
        table.add_row(f"({more} more in metrics.json)")
    return table


def _interval(bounds: tuple[float, float] | None) -> str:
    if bounds is None:
        return "-"
    digits = 2 if max(map(abs, bounds)) < 10 else 1
    return " to ".join(f"{bound:.{digits}f}" for bound in bounds)


def _number(value: float | None) -> str:
    return "-" if value is None or value != value else f"{value:.3f}"


def _gates_table(gates: Iterable[GateReport]) -> Table:
    table = plain_table("gates", "", "")
    for gate in gates:
        verdict = "[green]passed[/]" if gate.passed else "[red]failed[/]"
        table.add_row(gate.gate, verdict, _checks(len(gate.findings)))
        for finding in gate.failed:
            detail = escape(f"{finding.subject}: {finding.detail}")
            table.add_row("", f"[red]{escape(finding.rule)}[/]", detail)
    return table


def _print_too_few(gates: Iterable[GateReport], console: Console) -> None:
    """Prints the thresholds that have too few examples to be significant, and the remedy."""
    found = [text for gate in gates for text in cast(Sequence[str], gate.facts.get(TOO_FEW, ()))]
    for text in found[:_MOST_NOTES]:
        console.print(f"too few examples: {text}", soft_wrap=True, markup=False, highlight=False)
    if (more := len(found) - _MOST_NOTES) > 0:
        console.print(f"too few examples: {more} more such thresholds", markup=False)
    if found:
        remedy = "A larger share for it in ingest.split helps, or ingest.split.stratify."
        console.print(f"{remedy}\n", soft_wrap=True, markup=False, highlight=False)


def _print_output_paths(places: dict[str, str], console: Console) -> None:
    """Prints whole paths, relative where that is shorter, never cut to the terminal's width."""
    console.print("files")
    for what, where in places.items():
        here = os.path.relpath(where)
        console.print(f"  {what:<14}", min(here, where, key=len), soft_wrap=True, markup=False)


def _output_paths(record: RunRecord, folder: str) -> dict[str, str]:
    wanted = {
        "examples": ("Ingest", "examples"),
        "rejects": ("Ingest", "rejects"),
        "statistics": ("Statistics", "statistics"),
        "anomalies": ("ExampleValidator", "anomalies"),
        "trials": ("Tuner", "tuner_results"),
        "model": ("Trainer", "model"),
        "training logs": ("Trainer", "model_run"),
        "evaluation": ("Evaluation", "evaluation"),
        "pushed": ("Push", "pushed"),
    }
    nodes = {what: (record.node(node_id), channel) for what, (node_id, channel) in wanted.items()}
    places = {what: node.uri(channel) for what, (node, channel) in nodes.items() if node}
    predict = record.node("Predict")
    if predict:
        (found,) = predict.outputs["predictions"]
        places["predictions"] = str(found.properties[FOLDER_PROPERTY])
    return places | {"this run": folder}


def _artifacts(record: RunRecord, types: tuple[str, ...]) -> list[tuple[str, Artifact]]:
    return [
        (node.node_id, artifact)
        for node in record.nodes
        for many in node.outputs.values()
        for artifact in many
        if artifact.type_name in types
    ]


def _report(artifact: Artifact) -> GateReport:
    return GateReport.read(os.path.join(artifact.uri, REPORT_FILE))


def _evaluation(record: RunRecord) -> EvaluationResult | None:
    node = record.node("Evaluation")
    return read_evaluation(node.uri("evaluation")) if node else None


def _write_page(summary: RunSummary, folder: str) -> dict[str, str]:
    """Writes the page of the run and its files; returns their paths by name."""
    record = summary.record
    trainer, drawn = record.node("Trainer"), record.node("RunPage")
    model_run = trainer.uri("model_run") if trainer else ""
    curve = read_curve(model_run) if model_run else ()
    places = {"page": os.path.join(folder, PAGE_FILE)}
    if curve:
        places["learning curve"] = os.path.join(folder, CURVE_FILE)
        write_curve_png(curve, places["learning curve"])
    evidence = read_evidence(drawn.uri("page")) if drawn else PageEvidence()
    if drawn and evidence.places:
        places["map"] = os.path.join(folder, GEOJSON_FILE)
        shutil.copyfile(os.path.join(drawn.uri("page"), GEOJSON_FILE), places["map"])
    known = summary.places | places
    content = Content(
        title=record.name,
        outcome=record.outcome,
        facts=_facts(summary),
        images=summary.images,
        rejects=summary.rejects,
        left_out=summary.left_out,
        curve=curve,
        gates=summary.gates,
        evaluation=summary.evaluation,
        evidence=evidence,
        places=known,
        links={place: _relative_address(place, folder) for place in known.values()},
        log_dir=os.path.join(model_run, "logs") if model_run else "",
        geojson=read_geojson(folder),
    )
    with open(places["page"], "w", encoding="utf-8") as file:
        file.write(run_page(content))
    return places


def _relative_address(place: str, folder: str) -> str:
    """Returns a path as a browser follows it from a page in `folder`."""
    return quote(os.path.relpath(place, folder))


def _facts(summary: RunSummary) -> dict[str, str]:
    record = summary.record
    version = record.pushed_version
    known = {
        "run": record.run_id,
        "began": record.started,
        "ended": record.ended,
        "data": record.fingerprint,
        "span": record.span,
        "version": "" if version is None else str(version),
        "reason": _reason(summary),
    }
    return {name: text for name, text in known.items() if text}
