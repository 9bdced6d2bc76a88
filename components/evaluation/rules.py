"""Evaluation gate: findings from metrics. What cannot be judged fails unless allowed."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from components.evaluation.config import ChangeBounds, EvaluationConfig, Threshold
from components.evaluation.result import Evaluation, SliceMetrics
from components.evaluation.slices import OVERALL, parse_selector
from components.evaluation.tasks.measures import (
    NON_FINITE,
    SUPPORT,
    WITHOUT_TRUTH,
    class_metric,
)
from components.evaluation.tasks.registry import evaluated_task
from components.evaluation.test_size import TOO_FEW, too_few_examples
from components.gate.report import JSON, Finding, GateReport

GATE = "evaluation"


def judge(config: EvaluationConfig, evaluation: Evaluation) -> GateReport:
    """Returns the report of the evaluation gate.

    Every threshold gives one finding for each slice, class and bound that it covers. A missing
    baseline, or one that fails or has another task, a missing slice, a metric that is not a number,
    labels that the candidate does not know and a changed set of classes are findings of their own;
    each fails unless `config.allow` names it. A candidate that fails, no example, no truth, and a
    threshold on a metric of another task always fail.
    """
    findings = [*_contract(config, evaluation)]
    if evaluation.overall is not None:
        wrong = config.wrong_metrics(evaluation.task)
        for threshold in config.thresholds:
            if threshold.measured not in wrong:
                findings += _threshold(config, evaluation, threshold)
    return GateReport(GATE, tuple(findings), _facts(config, evaluation))


def _facts(config: EvaluationConfig, evaluation: Evaluation) -> dict[str, JSON]:
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


def _contract(config: EvaluationConfig, evaluation: Evaluation) -> Iterator[Finding]:
    """Yields findings on the preconditions of all thresholds."""
    overall = evaluation.overall
    if "candidate" in evaluation.failures:
        yield Finding(
            GATE,
            "a candidate that answers",
            False,
            "candidate",
            f"it could not be loaded and asked: {evaluation.failures['candidate']}; "
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


def _metrics(config: EvaluationConfig, evaluation: Evaluation) -> Iterator[Finding]:
    for metric in config.wrong_metrics(evaluation.task):
        yield Finding(
            GATE,
            "metrics of the task",
            False,
            metric,
            f"a threshold speaks of {metric}, and the candidate's task {evaluation.task} has no "
            f"such metric: use {evaluated_task(evaluation.task).vocabulary()}",
        )


def _truth(evaluation: Evaluation, overall: SliceMetrics) -> Iterator[Finding]:
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


def _baseline(config: EvaluationConfig, evaluation: Evaluation) -> Iterator[Finding]:
    """Yields a finding for the first reason why there is no usable baseline, if any."""
    before, now = evaluation.baseline_task, evaluation.task
    compared = any(threshold.change for threshold in config.thresholds)
    if "baseline" in evaluation.failures:
        yield _unless_allowed(
            config,
            "unusable_baseline",
            rule="a baseline that answers",
            subject="baseline",
            detail=f"version {evaluation.baseline_version} is being served, and it could not be "
            f"loaded and asked: {evaluation.failures['baseline']}",
        )
    elif before is not None and before != now:
        yield _unless_allowed(
            config,
            "task_changed",
            rule="the task that the baseline answers",
            subject="task",
            detail=f"the candidate answers {now} and version {evaluation.baseline_version}, which "
            f"is being served, {before}: clients see another contract, and nothing can be compared",
        )
    elif compared and evaluation.baseline_classes is None:
        yield _unless_allowed(
            config,
            "missing_baseline",
            rule="a baseline to compare with",
            subject="baseline",
            detail="no version is being served, so no change can be measured",
        )


def _slices(config: EvaluationConfig, evaluation: Evaluation) -> Iterator[Finding]:
    """Yields findings on slices by a feature that no example has, apart from the thresholds'."""
    judged = {parse_selector(threshold.slice).features for threshold in config.thresholds}
    found = {tuple(feature for feature, _ in item.key) for item in evaluation.slices}
    for features in config.slices:
        if features not in judged and features not in found:
            name = ",".join(features)
            yield _unless_allowed(
                config,
                f"missing_slice:{name}",
                rule="slices to look at",
                subject=name,
                detail=f"no example of the {evaluation.split} split has a value of {name}: "
                "look for a slip in the name, or for a column that the source has lost",
            )


def _classes(config: EvaluationConfig, evaluation: Evaluation) -> Iterator[Finding]:
    before = evaluation.baseline_classes
    if before is None or before == evaluation.classes:
        return
    gone = sorted(set(before) - set(evaluation.classes))
    new = sorted(set(evaluation.classes) - set(before))
    changes = [f"without {gone}"] * bool(gone) + [f"with the new {new}"] * bool(new)
    yield _unless_allowed(
        config,
        "classes_changed",
        rule="the classes that the baseline answers with",
        subject="classes",
        detail=f"the candidate answers {' and '.join(changes) or 'in another order'}, so clients "
        "see another contract and the comparison is between different tasks",
    )


def _labels(
    config: EvaluationConfig, evaluation: Evaluation, overall: SliceMetrics
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
        yield _unless_allowed(
            config,
            "unknown_labels",
            rule="labels that the candidate knows",
            subject=evaluated_task(evaluation.task).truth[0],
            detail=f"{sum(strange.values())} of {overall.examples} examples carry labels "
            f"that are no class of the candidate {strange}: each counts as wrong",
        )


def _finite_predictions(
    config: EvaluationConfig, evaluation: Evaluation, overall: SliceMetrics
) -> Iterator[Finding]:
    count = int(overall.candidate.get(NON_FINITE, 0))
    if count:
        noun = evaluated_task(evaluation.task).answer_noun
        yield _unless_allowed(
            config,
            "nan:predictions",
            rule="finite predictions",
            subject="predictions",
            detail=f"{count} of {overall.examples} examples got a NaN or infinite {noun}: "
            "look at the training loss and at these images",
        )


def _decisions(config: EvaluationConfig, evaluation: Evaluation) -> Iterator[Finding]:
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


@dataclass(frozen=True)
class _Target:
    """One metric of one slice that a threshold covers."""

    config: EvaluationConfig
    threshold: Threshold
    item: SliceMetrics
    metric: str
    examples: int

    @property
    def subject(self) -> str:
        return self.item.name

    @property
    def where(self) -> str:
        return f"{self.metric} on {self.item.name} (n={self.examples})"


def _threshold(
    config: EvaluationConfig, evaluation: Evaluation, threshold: Threshold
) -> Iterator[Finding]:
    selector = parse_selector(threshold.slice)
    items = [item for item in evaluation.slices if selector.matches(item.key)]
    targets = [t for item in items for t in _targets(config, evaluation, threshold, item)]
    judged = [target for target in targets if target.examples >= threshold.min_examples]
    if not judged:
        yield _missing_slice(config, threshold, max((t.examples for t in targets), default=0))
    if threshold.is_gap and judged:
        yield _judge_gap(judged)
    for target in targets:
        if target in judged:
            yield from () if threshold.is_gap else _judge_target(target, evaluation)
        elif judged:
            yield Finding(
                GATE,
                _rule(target.metric, threshold),
                True,
                target.subject,
                f"{target.where} is below min_examples {threshold.min_examples}: passed over",
            )


def _targets(
    config: EvaluationConfig, evaluation: Evaluation, threshold: Threshold, item: SliceMetrics
) -> Iterator[_Target]:
    class_name = threshold.class_name
    if class_name is None:
        yield _Target(config, threshold, item, threshold.measured, item.examples)
        return
    for name in evaluation.classes if class_name == "*" else (class_name,):
        metric = class_metric(threshold.kind, name)
        yield _Target(config, threshold, item, metric, item.support(name))


def _missing_slice(config: EvaluationConfig, threshold: Threshold, most: int) -> Finding:
    class_name = threshold.class_name
    of_class = f" of class {class_name}" if class_name not in (None, "*") else ""
    found = f"at most {most} examples" if most else "no example"
    return _unless_allowed(
        config,
        f"missing_slice:{threshold.slice}",
        rule=f"{_rule(threshold.metric, threshold)}, with {threshold.min_examples} or more "
        "examples",
        subject=threshold.slice,
        detail=f"{found}{of_class} on {threshold.slice}: the metric cannot be judged there",
    )


def _judge_gap(targets: Sequence[_Target]) -> Finding:
    """Judges the difference between the slices with the greatest and the least value."""
    threshold = targets[0].threshold
    values = [target.item.candidate.get(target.metric, math.nan) for target in targets]
    rule = _bounds(threshold.metric, threshold.at_least, threshold.at_most)
    for target, value in zip(targets, values, strict=True):
        if not math.isfinite(value):
            return _unless_allowed(
                target.config,
                *_nan_tokens(target),
                rule=rule,
                subject=threshold.slice,
                detail=f"{target.where} is {value}, so the gap is unknown",
            )
    order = sorted(range(len(values)), key=values.__getitem__)
    least, most = order[0], order[-1]
    gap = values[most] - values[least]
    low = threshold.at_least is not None and gap < threshold.at_least
    high = threshold.at_most is not None and gap > threshold.at_most
    detail = f"{threshold.metric} between {len(targets)} slices is {gap:.4g}"
    if gap:
        detail += (
            f": {values[least]:.4g} on {targets[least].item.name} (n={targets[least].examples}), "
            f"{values[most]:.4g} on {targets[most].item.name} (n={targets[most].examples})"
        )
    if low or high:
        bound = f"below {threshold.at_least:g}" if low else f"above {threshold.at_most:g}"
        detail += f", {bound}: look at the data of the worst slice, or set the bound"
    return Finding(GATE, rule, not (low or high), threshold.slice, detail)


def _judge_target(target: _Target, evaluation: Evaluation) -> Iterator[Finding]:
    threshold, item = target.threshold, target.item
    value = item.candidate.get(target.metric, math.nan)
    if threshold.at_least is not None or threshold.at_most is not None:
        yield _bounded(target, value, threshold.at_least, threshold.at_most, "")
    if threshold.change is None or evaluation.baseline_classes is None:
        return  # a finding gives the reason already
    before = (item.baseline or {}).get(target.metric, math.nan)
    change = _change(value, before, threshold.change)
    if threshold.change.confidence is not None:
        yield _confident(target, change, threshold.change, threshold.change.confidence)
        return
    yield _bounded(
        target,
        change,
        threshold.change.at_least,
        threshold.change.at_most,
        f" (from {before:.4g} of baseline version {evaluation.baseline_version} to {value:.4g})",
    )


def _confident(target: _Target, change: float, bounds: ChangeBounds, confidence: float) -> Finding:
    """Compares the difference's bounds of a confidence, instead of the difference."""
    item = target.item
    sure = f"with {confidence * 100:g} % confidence"
    rule = f"{_bounds(f'change of {target.metric}', bounds.at_least, bounds.at_most)} {sure}"
    units = "examples" if item.groups is None else "groups"
    if item.change is None or confidence not in item.change.bounds:
        return _unless_allowed(
            target.config,
            *_nan_tokens(target),
            rule=rule,
            subject=target.subject,
            detail=f"change of {target.where} is {change:.4g}, and {item.units} independent "
            f"{units} are too few for its bounds",
        )
    low, high = item.change.bounds[confidence]
    failed = []
    detail = f"change of {target.where} is {change:.4g}; {sure}, over {item.units} {units}, it is"
    if bounds.at_least is not None:
        detail += f" at least {low:.4g}"
        failed += [f"below {bounds.at_least:g}"] * (low < bounds.at_least)
    if bounds.at_most is not None:
        detail += f"{' and' * (bounds.at_least is not None)} at most {high:.4g}"
        failed += [f"above {bounds.at_most:g}"] * (high > bounds.at_most)
    if failed:
        detail += f", {' and '.join(failed)}: a larger split narrows the bounds"
    return Finding(GATE, rule, not failed, target.subject, detail)


def _change(value: float, before: float, change: ChangeBounds) -> float:
    """Returns candidate minus baseline, or its ratio to the baseline's size; NaN if undefined."""
    difference = value - before
    if not change.relative or difference == 0:
        return difference
    return difference / abs(before) if before else math.nan


def _bounded(
    target: _Target, value: float, at_least: float | None, at_most: float | None, history: str
) -> Finding:
    kind = ""
    if history and target.threshold.change:
        kind = "relative change of " if target.threshold.change.relative else "change of "
    rule = _bounds(kind + target.metric, at_least, at_most)
    if not math.isfinite(value):
        return _unless_allowed(
            target.config,
            *_nan_tokens(target),
            rule=rule,
            subject=target.subject,
            detail=f"{kind}{target.where} is {value}{history}",
        )
    low = at_least is not None and value < at_least
    high = at_most is not None and value > at_most
    detail = f"{kind}{target.where} is {value:.4g}{history}"
    if low or high:
        bound = f"below {at_least:g}" if low else f"above {at_most:g}"
        detail += f", {bound}: look at the confusions and the data of that slice, or set the bound"
    return Finding(GATE, rule, not (low or high), target.subject, detail)


def _nan_tokens(target: _Target) -> tuple[str, ...]:
    names = {target.metric, target.threshold.metric}
    tokens = [f"nan:{name}@{target.item.name}" for name in sorted(names)]
    return (*tokens, *(f"nan:{name}" for name in sorted(names)))


def _rule(metric: str, threshold: Threshold) -> str:
    if threshold.at_least is None and threshold.at_most is None and threshold.change:
        return _bounds(f"change of {metric}", threshold.change.at_least, threshold.change.at_most)
    return _bounds(metric, threshold.at_least, threshold.at_most)


def _bounds(what: str, at_least: float | None, at_most: float | None) -> str:
    lower = [f">= {at_least:g}"] if at_least is not None else []
    upper = [f"<= {at_most:g}"] if at_most is not None else []
    return f"{what} {' and '.join(lower + upper)}"


def _unless_allowed(
    config: EvaluationConfig, *tokens: str, rule: str, subject: str, detail: str
) -> Finding:
    """Returns a finding that fails unless one of `tokens` is allowed; it names the first one."""
    allowed = next((token for token in tokens if token in config.allow), None)
    if allowed:
        remedy = f"allowed by {allowed!r} in evaluation.allow"
    else:
        remedy = f"to let it through, put {tokens[0]!r} into evaluation.allow"
    return Finding(GATE, rule, allowed is not None, subject or OVERALL, f"{detail}; {remedy}")
