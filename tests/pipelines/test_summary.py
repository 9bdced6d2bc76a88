"""The model in a run's summary, for each kind of task."""

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from components.evaluation.result import EvaluationResult, SliceMetrics
from components.gate.report import Finding, GateReport, message
from components.node.files import METRICS_FILE
from components.raster.task import Task
from pipelines.local.console import console_on
from pipelines.local.record import BLOCKED, FAILED, Artifact, NodeRecord, RunRecord
from pipelines.local.summary import RunSummary, _write_page, print_summary, summarise, to_json

NORTH = (("region", "north"),)


def summary_of(task: Task, candidate: dict[str, float], **baseline: float) -> RunSummary:
    metrics = {"example_count": 40.0, **candidate}
    slices = tuple(SliceMetrics(key, metrics, baseline or None, task) for key in ((), NORTH))
    evaluation = EvaluationResult("test", ("a",), None, None, slices, task=task)
    record = RunRecord("1", "roofs", "2026-01-01")
    return RunSummary(
        record,
        images={"test": 40},
        rejects={},
        left_out={},
        gates=(),
        evaluation=evaluation,
        tuning=None,
        places={},
    )


def printed(summary: RunSummary) -> list[list[str]]:
    """The rows of the table of metrics, by two or more spaces."""
    console = Console(file=io.StringIO(), width=80)
    print_summary(summary, console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    lines = text[text.index("metrics on test") :].splitlines()[:3]
    return [[cell for cell in line.split("  ") if cell.strip()] for line in lines]


def cells(rows: list[list[str]]) -> list[list[str]]:
    return [[cell.strip() for cell in row] for row in rows]


@pytest.mark.parametrize(
    ("task", "candidate", "baseline", "titles", "values"),
    [
        (
            "single_label",
            {"accuracy": 0.9, "macro_f1": 0.85, "log_loss": 0.3},
            {"accuracy": 0.8},
            ["accuracy", "95 %", "served", "macro F1", "log loss"],
            ["0.900", "0.77 to 0.96", "0.800", "0.850", "0.300"],
        ),
        (
            "multi_label",
            {"exact_match": 0.5, "macro_f1": 0.8, "mean_average_precision": 0.7, "log_loss": 0.2},
            {},
            ["exact match", "95 %", "served", "macro F1", "mean AP"],
            ["0.500", "0.35 to 0.65", "0.800", "0.700"],
        ),
        (
            "regression",
            {"mae": 12.5, "mae_low": 11.04, "mae_high": 14.06, "rmse": 15, "bias": -1, "r2": 0.4},
            {"mae": 20.0},
            ["MAE", "95 %", "served", "RMSE", "bias", "R2"],
            ["12.500", "11.0 to 14.1", "20.000", "15.000", "-1.000", "0.400"],
        ),
        (
            "segmentation",
            {
                "mean_iou": 0.6,
                "mean_iou_low": 0.55,
                "mean_iou_high": 0.65,
                "pixel_accuracy": 0.8,
                "macro_f1": 0.7,
            },
            {"mean_iou": 0.5},
            ["mean IoU", "95 %", "served", "accuracy", "macro F1"],
            ["0.600", "0.55 to 0.65", "0.500", "0.800", "0.700"],
        ),
        (
            "detection",
            {"mean_average_precision": 0.3, "mean_average_precision_50": 0.5, "macro_f1": 0.6},
            {"mean_average_precision": 0.2},
            ["mAP", "95 %", "served", "at 0.5", "macro F1"],
            ["0.300", "-", "0.200", "0.500", "0.600"],
        ),
    ],
)
def test_the_table_shows_what_fits_the_task(
    task: Task,
    candidate: dict[str, float],
    baseline: dict[str, float],
    titles: list[str],
    values: list[str],
) -> None:
    summary = summary_of(task, candidate, **baseline)
    head, overall, north = cells(printed(summary))
    assert head == ["metrics on test", "examples", *titles]
    assert overall == ["overall", "40", *values]
    assert north == ["region=north", "40", *values]
    document: Any = json.loads(to_json(summary))["metrics"]
    assert document["task"] == task
    assert document["slices"][0]["candidate"]["example_count"] == 40


def test_a_slice_of_one_class_has_no_mean_over_classes_and_classes_have_a_table_of_their_own() -> (
    None
):
    supports = {"support/forest": 30.0, "support/water": 10.0}
    classes = {"recall/forest": 0.9, "precision/forest": 0.75, "f1/forest": 0.818}
    overall = {"accuracy": 0.7, "macro_f1": 0.45, "example_count": 40.0, **supports, **classes}
    water = {
        "accuracy": 0.1,
        "macro_f1": 0.182,
        "example_count": 10.0,
        "support/forest": 0.0,
        "support/water": 10.0,
    }
    summary = summary_of("single_label", overall)
    slices = (SliceMetrics((), overall), SliceMetrics((("label/text", "water"),), water))
    evaluation = EvaluationResult("test", ("forest", "water"), None, None, slices)
    console = Console(file=io.StringIO(), width=80)
    print_summary(replace(summary, evaluation=evaluation), console)
    lines = [line.split() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]
    assert ["label/text=water", "10", "0.100", "0.02", "to", "0.40", "-", "-"] in lines
    assert ["classes", "on", "test", "examples", "precision", "recall", "f1"] in lines
    assert ["forest", "30", "0.750", "0.900", "0.818"] in lines


def test_a_split_that_is_too_small_to_judge_is_named() -> None:
    summary = summary_of("single_label", {"accuracy": 0.9})
    report = GateReport("evaluation", facts={"too_few_examples": ["accuracy on overall lies ..."]})
    console = Console(file=io.StringIO(), width=40)
    print_summary(replace(summary, gates=(report,)), console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "too few examples: accuracy on overall lies ..." in text
    assert "ingest.split.stratify" in text


def test_a_finding_is_printed_once_on_the_terminal_and_on_the_page(tmp_path: Path) -> None:
    bad = [
        Finding("evaluation", "min", False, "accuracy", f"is 0.{n}\n and is to be 0.9")
        for n in (5, 6)
    ]
    report = GateReport("evaluation", (*bad, Finding("evaluation", "min", True, "f1", "is fine")))
    record = RunRecord("1", "roofs", "2026-01-01").closed(BLOCKED, message(report))
    summary = replace(summary_of("single_label", {"accuracy": 0.5}), record=record, gates=(report,))
    console = console_on(io.StringIO())
    print_summary(summary, console)
    text = " ".join(console.file.getvalue().split())  # type: ignore[attr-defined]
    page = " ".join(Path(_write_page(summary, str(tmp_path))["page"]).read_text().split())
    for shown in (text, page):
        assert shown.count("is 0.5 and is to be 0.9") == 1
        assert shown.count("is 0.6 and is to be 0.9") == 1
    assert "blocked the run: 2 of 3 failed" in text


def test_a_reason_that_no_gate_tells_is_printed_whole() -> None:
    record = RunRecord("1", "roofs", "2026-01-01").closed(FAILED, "the source\n  is gone")
    console = console_on(io.StringIO())
    print_summary(replace(summary_of("single_label", {}), record=record), console)
    assert "the source\n  is gone\n" in console.file.getvalue()  # type: ignore[attr-defined]


def test_a_summary_has_the_metrics_and_the_place_of_the_evaluation(tmp_path: Path) -> None:
    found = summary_of("single_label", {"accuracy": 0.9}).evaluation
    assert found is not None
    (tmp_path / METRICS_FILE).write_text(found.to_json())
    outputs = {"evaluation": (Artifact("ModelEvaluation", str(tmp_path), 1),)}
    node = NodeRecord("Evaluation", "complete", outputs=outputs)
    run = tmp_path / "run"
    run.mkdir()
    summary = summarise(RunRecord("1", "roofs", "2026-01-01", nodes=(node,)), str(run))
    assert summary.evaluation == found
    assert summary.places["evaluation"] == str(tmp_path)
