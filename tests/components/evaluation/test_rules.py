"""Every rule of the gate, passing and blocking, on plain metrics."""

import json
import math
from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import ValidationError

from components.evaluation.config import EvaluationConfig
from components.evaluation.result import EvaluationResult, SliceMetrics
from components.evaluation.rules import judge
from components.gate.report import GateReport
from components.raster.task import Task

NORTH, SOUTH = (("region", "north"),), (("region", "south"),)


def measured(
    candidate: Mapping[str, float],
    baseline: Mapping[str, float] | None = None,
    slices: Mapping[Any, Mapping[str, float]] | None = None,
    classes: tuple[str, ...] = ("a", "b"),
    baseline_classes: tuple[str, ...] = ("a", "b"),
) -> EvaluationResult:
    """An evaluation whose baseline, if any, has the same metrics on all slices."""
    parts = {(): candidate, **(slices or {})}
    return EvaluationResult(
        split="test",
        classes=classes,
        baseline_classes=baseline_classes if baseline else None,
        baseline_version=3 if baseline else None,
        slices=tuple(
            SliceMetrics(key, {"example_count": 100.0, **metrics}, baseline)
            for key, metrics in parts.items()
        ),
    )


def verdict(evaluation: EvaluationResult, *allow: str, **threshold: Any) -> GateReport:
    thresholds = [threshold] if threshold else []
    sliced = len(evaluation.slices) > 1 or "slice" in threshold
    tree = {"slices": ["region"] * sliced, "thresholds": thresholds, "allow": allow}
    return judge(EvaluationConfig.model_validate(tree), evaluation)


@pytest.mark.parametrize(
    ("bounds", "passed"),
    [
        ({"at_least": 0.8}, True),
        ({"at_least": 0.81}, False),
        ({"at_most": 0.8}, True),
        ({"at_most": 0.79}, False),
        ({"at_least": 0.7, "at_most": 0.9}, True),
    ],
)
def test_absolute_bounds_are_inclusive(bounds: dict[str, float], passed: bool) -> None:
    report = verdict(measured({"accuracy": 0.8}), metric="accuracy", **bounds)
    assert report.passed is passed
    (finding,) = report.findings
    assert finding.subject == "overall"
    assert "accuracy on overall (n=100) is 0.8" in finding.detail


@pytest.mark.parametrize(
    ("before", "now", "change", "passed"),
    [
        (0.80, 0.79, {"at_least": -0.02}, True),
        (0.80, 0.77, {"at_least": -0.02}, False),
        (0.50, 0.48, {"at_least": -0.05, "relative": True}, True),
        (0.50, 0.46, {"at_least": -0.05, "relative": True}, False),
        (0.50, 0.55, {"at_most": 0.02}, False),
        (0.0, 0.0, {"at_least": 0.0, "relative": True}, True),
    ],
)
def test_bounds_on_the_change(
    before: float, now: float, change: dict[str, Any], passed: bool
) -> None:
    evaluation = measured({"accuracy": now}, {"accuracy": before})
    report = verdict(evaluation, metric="accuracy", change=change)
    assert report.passed is passed
    assert "baseline version 3" in report.findings[-1].detail


def test_a_relative_change_from_zero_is_undefined_and_blocks() -> None:
    evaluation = measured({"accuracy": 0.1}, {"accuracy": 0.0})
    report = verdict(evaluation, metric="accuracy", change={"at_least": 0, "relative": True})
    assert not report.passed


def test_a_missing_baseline_blocks_a_change_threshold_unless_allowed() -> None:
    evaluation = measured({"accuracy": 0.9})
    threshold = {"metric": "accuracy", "change": {"at_least": -0.1}}
    report = verdict(evaluation, **threshold)
    assert not report.passed
    assert "'missing_baseline' into evaluation.allow" in report.failed[0].detail
    assert verdict(evaluation, "missing_baseline", **threshold).passed
    assert verdict(evaluation, metric="accuracy", at_least=0.5).passed, "no change is asked for"


def test_allowing_a_missing_baseline_lets_no_absolute_bound_through() -> None:
    report = verdict(
        measured({"accuracy": 0.4}),
        "missing_baseline",
        metric="accuracy",
        at_least=0.5,
        change={"at_least": -0.1},
    )
    assert [finding.rule for finding in report.failed] == ["accuracy >= 0.5"]


def test_every_value_of_a_slice_feature_is_judged_alone() -> None:
    evaluation = measured(
        {"accuracy": 0.8}, slices={NORTH: {"accuracy": 0.9}, SOUTH: {"accuracy": 0.4}}
    )
    report = verdict(evaluation, metric="accuracy", slice="region", at_least=0.5)
    assert [(f.subject, f.passed) for f in report.findings] == [
        ("region=north", True),
        ("region=south", False),
    ]
    assert verdict(evaluation, metric="accuracy", slice="region=north", at_least=0.5).passed


def test_small_slices_are_passed_over_where_every_value_is_meant() -> None:
    evaluation = measured(
        {"accuracy": 0.8},
        slices={NORTH: {"accuracy": 0.9}, SOUTH: {"accuracy": 0.0, "example_count": 3}},
    )
    threshold = {"metric": "accuracy", "at_least": 0.5, "min_examples": 10}
    report = verdict(evaluation, slice="region", **threshold)
    assert report.passed
    assert "below min_examples 10" in report.findings[1].detail
    assert not verdict(evaluation, slice="region=south", **threshold).passed


def test_the_gap_between_the_best_and_the_worst_slice_is_judged_once() -> None:
    small = {"accuracy": 0.1, "example_count": 3}
    regions = {NORTH: {"accuracy": 0.95}, SOUTH: {"accuracy": 0.8}, (("region", "east"),): small}
    evaluation = measured({"accuracy": 0.9}, slices=regions)
    threshold = {"metric": "gap:accuracy", "slice": "region", "min_examples": 10}
    (finding,) = verdict(evaluation, **threshold, at_most=0.1).failed
    assert finding.subject == "region"
    assert (
        "between 2 slices is 0.15: 0.8 on region=south (n=100), 0.95 on region=north (n=100), "
        "above 0.1" in finding.detail
    )
    assert verdict(evaluation, **threshold, at_most=0.2).passed


def test_one_slice_alone_has_no_gap_to_pass() -> None:
    evaluation = measured({"accuracy": 0.9}, slices={NORTH: {"accuracy": 0.95}})
    threshold = {"metric": "gap:accuracy", "slice": "region", "at_most": 0.1}
    (finding,) = verdict(evaluation, **threshold).failed
    assert "accuracy on region=north (n=100) is the only slice" in finding.detail
    assert verdict(evaluation, "missing_slice:region", **threshold).passed


@pytest.mark.parametrize(
    "threshold",
    [
        {"metric": "gap:accuracy", "at_most": 0.1},
        {"metric": "gap:accuracy", "slice": "region=a", "at_most": 0.1},
        {"metric": "gap:recall/*", "slice": "region", "at_most": 0.1},
        {"metric": "gap:acuracy", "slice": "region", "at_most": 0.1},
    ],
)
def test_a_gap_needs_the_slices_of_a_feature_and_a_metric(threshold: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=r"gap between the slices|unknown metric"):
        EvaluationConfig.model_validate({"slices": ["region"], "thresholds": [threshold]})


@pytest.mark.parametrize("name", ["region=east", "region"])
def test_a_missing_slice_blocks_unless_allowed_by_its_name(name: str) -> None:
    slices = {NORTH: {"accuracy": 0.9}} if "=" in name else {}
    evaluation = measured({"accuracy": 0.9}, slices=slices)
    threshold = {"metric": "accuracy", "slice": name, "at_least": 0.5}
    assert not verdict(evaluation, **threshold).passed
    assert not verdict(evaluation, "missing_slice:region=west", **threshold).passed
    assert verdict(evaluation, f"missing_slice:{name}", **threshold).passed


def test_a_slice_feature_that_no_example_has_blocks_even_without_a_threshold() -> None:
    """A misspelt name would otherwise look like a slice without faults."""
    tree = {"slices": ["regoin"], "allow": []}
    report = judge(EvaluationConfig.model_validate(tree), measured({"accuracy": 0.9}))
    assert [finding.subject for finding in report.failed] == ["regoin"]
    tree["allow"] = ["missing_slice:regoin"]
    assert judge(EvaluationConfig.model_validate(tree), measured({"accuracy": 0.9})).passed


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_metric_that_is_no_number_blocks_unless_allowed_by_its_name(value: float) -> None:
    evaluation = measured({"log_loss": value})
    threshold = {"metric": "log_loss", "at_most": 1.0}
    assert not verdict(evaluation, **threshold).passed
    assert not verdict(evaluation, "nan:accuracy", **threshold).passed
    assert not verdict(evaluation, "nan:log_loss@region=north", **threshold).passed
    assert verdict(evaluation, "nan:log_loss", **threshold).passed
    assert verdict(evaluation, "nan:log_loss@overall", **threshold).passed


def test_a_nan_of_the_baseline_blocks_the_change() -> None:
    evaluation = measured({"accuracy": 0.9}, {"accuracy": math.nan})
    assert not verdict(evaluation, metric="accuracy", change={"at_least": -1}).passed


def test_class_metrics_are_judged_by_the_examples_of_the_class() -> None:
    scores = {"recall/a": 0.9, "support/a": 50, "recall/b": 0.1, "support/b": 4}
    evaluation = measured({"accuracy": 0.9, **scores})
    assert not verdict(evaluation, metric="recall/*", at_least=0.5).passed
    assert verdict(evaluation, metric="recall/*", at_least=0.5, min_examples=5).passed
    assert verdict(evaluation, metric="recall/a", at_least=0.5).passed
    assert not verdict(evaluation, metric="recall/b", at_least=0.5).passed
    missing = verdict(evaluation, metric="recall/c", at_least=0.5)
    assert not missing.passed
    assert "of class c" in missing.failed[0].detail


def test_changed_classes_block_unless_allowed() -> None:
    evaluation = measured({"accuracy": 0.9}, {"accuracy": 0.9}, baseline_classes=("a", "c"))
    report = verdict(evaluation)
    assert not report.passed
    assert "without ['c'] and with the new ['b']" in report.failed[0].detail
    assert verdict(evaluation, "classes_changed").passed
    reordered = measured({"accuracy": 0.9}, {"accuracy": 0.9}, baseline_classes=("b", "a"))
    assert "in another order" in verdict(reordered).failed[0].detail


def test_labels_that_the_candidate_does_not_know_block_unless_allowed() -> None:
    known = {"support/a": 60, "support/b": 38}
    evaluation = measured({"accuracy": 0.9, **known, "support/c": 2, "support/(unknown)": 0})
    report = verdict(evaluation)
    assert not report.passed
    assert "2 of 100" in report.failed[0].detail
    assert verdict(evaluation, "unknown_labels").passed


def test_predictions_that_are_not_finite_block_whatever_the_thresholds() -> None:
    evaluation = measured({"accuracy": 0.9, "non_finite_count": 1})
    assert not verdict(evaluation).passed
    assert verdict(evaluation, "nan:predictions").passed


def test_a_split_without_examples_blocks_and_cannot_be_allowed() -> None:
    report = verdict(EvaluationResult("test", (), None, None, ()), metric="accuracy", at_least=0.1)
    assert [finding.rule for finding in report.failed] == ["examples to evaluate"]


def test_the_report_holds_what_was_looked_at() -> None:
    report = verdict(measured({"accuracy": 0.9}, {"accuracy": 0.9}, {NORTH: {"accuracy": 1.0}}))
    assert report.gate == "evaluation"
    assert report.facts == {"split": "test", "examples": 100, "slices": 2, "baseline_version": 3}


def test_metrics_survive_their_file() -> None:
    evaluation = measured(
        {"accuracy": 0.9, "log_loss": math.nan}, {"accuracy": 0.8}, {NORTH: {"accuracy": 1.0}}
    )
    again = EvaluationResult.from_json(evaluation.to_json())
    assert again.slices[1] == evaluation.slices[1]
    assert again.baseline_version == 3
    assert math.isnan(again.slices[0].candidate["log_loss"])
    assert again.to_json() == evaluation.to_json()


def of_task(task: Task, candidate: Mapping[str, float], **found: Any) -> EvaluationResult:
    """An evaluation of ten examples of another task than one class per image."""
    overall = SliceMetrics((), {"example_count": 10.0, **candidate}, None, task)
    return EvaluationResult("test", (), None, None, (overall,), task=task, **found)


def test_a_threshold_on_a_metric_of_another_task_blocks_and_cannot_be_allowed() -> None:
    evaluation = of_task("regression", {"mae": 1.0})
    report = verdict(evaluation, "nan:accuracy", metric="accuracy", at_least=0.5)
    assert [(f.rule, f.subject) for f in report.failed] == [("metrics of the task", "accuracy")]
    assert "use mae, rmse, bias, r2" in report.failed[0].detail
    assert verdict(evaluation, metric="mae", at_most=1).passed


def test_examples_that_all_lack_the_truth_of_the_task_block() -> None:
    some, none = ({"examples_without_truth": count} for count in (9, 10))
    assert verdict(of_task("segmentation", some)).passed
    (finding,) = verdict(of_task("segmentation", none)).failed
    assert (finding.rule, finding.subject) == ("examples with truth", "mask/encoded")


def test_a_candidate_that_could_not_be_asked_blocks_and_cannot_be_allowed() -> None:
    evaluation = EvaluationResult(
        "test", (), None, 4, (), failures={"candidate": "OSError: no graph"}
    )
    (finding,) = verdict(evaluation, metric="accuracy", at_least=0.5).failed
    assert finding.subject == "candidate"
    assert "OSError: no graph" in finding.detail


@pytest.mark.parametrize(
    ("found", "token", "message"),
    [
        ({"failures": {"baseline": "OSError: no graph"}}, "unusable_baseline", "no graph"),
        ({"baseline_task": "single_label"}, "task_changed", "answers regression"),
    ],
)
def test_a_baseline_that_cannot_be_compared_blocks_unless_allowed(
    found: dict[str, Any], token: str, message: str
) -> None:
    evaluation = of_task("regression", {"mae": 1.0}, **found)
    threshold: dict[str, Any] = {"metric": "mae", "at_most": 2, "change": {"at_most": 0}}
    (finding,) = verdict(evaluation, "missing_baseline", **threshold).failed
    assert message in finding.detail
    assert f"{token!r} into evaluation.allow" in finding.detail
    assert verdict(evaluation, token, **threshold).passed


def test_an_evaluation_of_another_task_survives_its_file() -> None:
    evaluation = of_task(
        "segmentation",
        {"mean_iou": 0.5, "mean_iou_low": 0.4, "mean_iou_high": 0.6},
        baseline_task="single_label",
        failures={"baseline": "gone"},
    )
    again = EvaluationResult.from_json(evaluation.to_json())
    assert again == evaluation
    assert again.slices[0].interval == (0.4, 0.6)


def test_a_metrics_file_from_before_there_were_tasks_is_of_one_class_an_image() -> None:
    document = json.loads(measured({"accuracy": 0.9}).to_json())
    for name in ("task", "baseline_task", "failures"):
        del document[name]
    again = EvaluationResult.from_json(json.dumps(document))
    assert again.task == "single_label"
    assert again.slices[0].candidate["accuracy"] == 0.9
