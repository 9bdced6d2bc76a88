"""Evaluation gate: findings from metrics. A rule that cannot be judged fails unless allowed."""

from collections.abc import Iterator
from dataclasses import asdict

from components.evaluation.config import EvaluationConfig
from components.evaluation.findings import GATE, unless_allowed
from components.evaluation.result import EvaluationResult, SliceMetrics
from components.evaluation.slices import parse_selector
from components.evaluation.tasks.measures import (
    NON_FINITE,
    SUPPORT,
    WITHOUT_TRUTH,
    class_metric,
)
from components.evaluation.tasks.registry import evaluated_task
from components.evaluation.test_size import TOO_FEW, too_few_examples
from components.evaluation.thresholds import judge_threshold
from components.gate.report import JSON, Finding, GateReport


def judge(config: EvaluationConfig, evaluation: EvaluationResult) -> GateReport:
    """Returns the report of the evaluation gate.

    Every threshold gives one finding for each slice, class and bound that it covers. A missing
    baseline, or one that fails or has another task, a missing slice, a metric that is not a number,
    labels that the candidate does not know and a changed set of classes are separate findings;
    each fails unless `config.allow` names it. A candidate that fails, no example, no truth, and a
    threshold on a metric of another task always fail.
    """
    findings = [*_contract(config, evaluation)]
    if evaluation.overall is not None:
        wrong = config.wrong_metrics(evaluation.task)
        for threshold in config.thresholds:
            if threshold.measured not in wrong:
                findings += judge_threshold(config, evaluation, threshold)
    return GateReport(GATE, tuple(findings), _facts(config, evaluation))


def _facts(config: EvaluationConfig, evaluation: EvaluationResult) -> dict[str, JSON]:
    overall = evaluation.overall
    compared: dict[str, JSON] = {}
    if overall is not None and overall.change is not None:
        headline = evaluated_task(evaluation.task).headline
        compared[f"{headline}_change"] = overall.change.document()
    if evaluation.mcnemar is not None:
        compared["mcnemar"] = asdict(evaluation.mcnemar)
    undecided: list[JSON] = list(too_few_examples(config.thresholds, evaluation))
    return {
        **({TOO_FEW: undecided} if undecided else {}),
        "split": evaluation.split,
        "examples": overall.examples if overall else 0,
        "slices": len(evaluation.slices),
        "baseline_version": evaluation.baseline_version,
        **compared,
    }


def _contract(config: EvaluationConfig, evaluation: EvaluationResult) -> Iterator[Finding]:
    """Yields findings on the preconditions of all thresholds."""
    overall = evaluation.overall
    if "candidate" in evaluation.failures:
        yield Finding(
            GATE,
            "a candidate that answers",
            False,
            "candidate",
            f"it could not be loaded and run: {evaluation.failures['candidate']}; "
            "look at the export, and run the training again",
        )
        return
    if overall is None:
        yield Finding(
            GATE,
            "examples to evaluate",
            False,
            evaluation.split,
            f"the {evaluation.split} split has no example: give it a share in the split, "
            "or name another in evaluation.split",
        )
        return
    yield from _metrics(config, evaluation)
    yield from _truth(evaluation, overall)
    yield from _baseline(config, evaluation)
    yield from _slices(config, evaluation)
    yield from _classes(config, evaluation)
    yield from _labels(config, evaluation, overall)
    yield from _finite_predictions(config, evaluation, overall)
    yield from _decisions(config, evaluation)


def _metrics(config: EvaluationConfig, evaluation: EvaluationResult) -> Iterator[Finding]:
    for metric in config.wrong_metrics(evaluation.task):
        yield Finding(
            GATE,
            "metrics of the task",
            False,
            metric,
            f"a threshold names {metric}, and the candidate's task {evaluation.task} has no "
            f"such metric: use {evaluated_task(evaluation.task).vocabulary()}",
        )


def _truth(evaluation: EvaluationResult, overall: SliceMetrics) -> Iterator[Finding]:
    without = int(overall.candidate.get(WITHOUT_TRUTH, 0))
    if without and without == overall.examples:
        feature = evaluated_task(evaluation.task).truth[0]
        yield Finding(
            GATE,
            "examples with truth",
            False,
            feature,
            f"none of {overall.examples} examples has what the task {evaluation.task} is measured "
            f"by ({feature}): look at the labels that ingest reads",
        )


def _baseline(config: EvaluationConfig, evaluation: EvaluationResult) -> Iterator[Finding]:
    """Yields a finding for the first reason why there is no usable baseline, if any."""
    before, now = evaluation.baseline_task, evaluation.task
    compared = any(threshold.change for threshold in config.thresholds)
    if "baseline" in evaluation.failures:
        yield unless_allowed(
            config,
            "unusable_baseline",
            rule="a baseline that answers",
            subject="baseline",
            detail=f"version {evaluation.baseline_version} is being served, and it could not be "
            f"loaded and run: {evaluation.failures['baseline']}",
        )
    elif before is not None and before != now:
        yield unless_allowed(
            config,
            "task_changed",
            rule="the task that the baseline answers",
            subject="task",
            detail=f"the candidate answers {now} and version {evaluation.baseline_version}, which "
            f"is being served, {before}: clients see another contract, and nothing can be compared",
        )
    elif compared and evaluation.baseline_classes is None:
        yield unless_allowed(
            config,
            "missing_baseline",
            rule="a baseline to compare with",
            subject="baseline",
            detail="no version is being served, so no change can be measured",
        )


def _slices(config: EvaluationConfig, evaluation: EvaluationResult) -> Iterator[Finding]:
    """Yields findings on slice features that no example has, except those of thresholds."""
    judged = {parse_selector(threshold.slice).features for threshold in config.thresholds}
    found = {tuple(feature for feature, _ in item.key) for item in evaluation.slices}
    for features in config.slices:
        if features not in judged and features not in found:
            name = ",".join(features)
            yield unless_allowed(
                config,
                f"missing_slice:{name}",
                rule="slices to look at",
                subject=name,
                detail=f"no example of the {evaluation.split} split has a value of {name}: "
                "look for a slip in the name, or for a column that the source has lost",
            )


def _classes(config: EvaluationConfig, evaluation: EvaluationResult) -> Iterator[Finding]:
    before = evaluation.baseline_classes
    if before is None or before == evaluation.classes:
        return
    gone = sorted(set(before) - set(evaluation.classes))
    new = sorted(set(evaluation.classes) - set(before))
    changes = [f"without {gone}"] * bool(gone) + [f"with the new {new}"] * bool(new)
    yield unless_allowed(
        config,
        "classes_changed",
        rule="the classes that the baseline answers with",
        subject="classes",
        detail=f"the candidate answers {' and '.join(changes) or 'in another order'}, so clients "
        "see another contract and the comparison is between different tasks",
    )


def _labels(
    config: EvaluationConfig, evaluation: EvaluationResult, overall: SliceMetrics
) -> Iterator[Finding]:
    prefix = class_metric(SUPPORT, "")
    strange = {
        name.removeprefix(prefix): int(count)
        for name, count in overall.candidate.items()
        if name.startswith(prefix) and count > 0
    }
    for name in evaluation.classes:
        strange.pop(name, None)
    if strange:
        yield unless_allowed(
            config,
            "unknown_labels",
            rule="labels that the candidate knows",
            subject=evaluated_task(evaluation.task).truth[0],
            detail=f"{sum(strange.values())} of {overall.examples} examples carry labels "
            f"that are not classes of the candidate {strange}: each counts as wrong",
        )


def _finite_predictions(
    config: EvaluationConfig, evaluation: EvaluationResult, overall: SliceMetrics
) -> Iterator[Finding]:
    count = int(overall.candidate.get(NON_FINITE, 0))
    if count:
        noun = evaluated_task(evaluation.task).answer_noun
        yield unless_allowed(
            config,
            "nan:predictions",
            rule="finite predictions",
            subject="predictions",
            detail=f"{count} of {overall.examples} examples got a NaN or infinite {noun}: "
            "look at the training loss and at these images",
        )


def _decisions(config: EvaluationConfig, evaluation: EvaluationResult) -> Iterator[Finding]:
    """Yields findings on configured decisions that were not measured."""
    measured = {decision.class_name for decision in evaluation.decisions}
    for name in dict.fromkeys(each.class_name for each in config.decisions):
        if name not in measured:
            yield Finding(
                GATE,
                "a decision for a class of the candidate",
                False,
                name,
                f"evaluation.decisions names the class {name}, and the candidate has "
                f"{', '.join(evaluation.classes) or 'no classes'}: name one of these",
            )
