"""Findings of the evaluation gate from the thresholds on metrics and their changes."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from components.evaluation.config import ChangeBounds, EvaluationConfig, Threshold
from components.evaluation.findings import GATE, unless_allowed
from components.evaluation.result import EvaluationResult, SliceMetrics
from components.evaluation.slices import parse_selector
from components.evaluation.tasks.measures import class_metric
from components.gate.report import Finding


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


def judge_threshold(
    config: EvaluationConfig, evaluation: EvaluationResult, threshold: Threshold
) -> Iterator[Finding]:
    selector = parse_selector(threshold.slice)
    items = [item for item in evaluation.slices if selector.matches(item.key)]
    targets = [t for item in items for t in _targets(config, evaluation, threshold, item)]
    judged = [target for target in targets if target.examples >= threshold.min_examples]
    if not judged:
        yield _missing_slice(config, threshold, max((t.examples for t in targets), default=0))
    elif threshold.is_gap and len(judged) == 1:
        yield _missing_other(judged[0])
    elif threshold.is_gap:
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
                f"{target.where} is below min_examples {threshold.min_examples}: skipped",
            )


def _targets(
    config: EvaluationConfig, evaluation: EvaluationResult, threshold: Threshold, item: SliceMetrics
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
    detail = f"{found}{of_class} on {threshold.slice}: the metric cannot be judged there"
    return _missing(config, threshold, detail)


def _missing_other(target: _Target) -> Finding:
    """Returns the finding on a gap for which only one slice can be judged."""
    detail = f"{target.where} is the only slice that can be judged, and a gap is between two"
    return _missing(target.config, target.threshold, detail)


def _missing(config: EvaluationConfig, threshold: Threshold, detail: str) -> Finding:
    return unless_allowed(
        config,
        f"missing_slice:{threshold.slice}",
        rule=f"{_rule(threshold.metric, threshold)}, with {threshold.min_examples} or more "
        "examples",
        subject=threshold.slice,
        detail=detail,
    )


def _judge_gap(targets: Sequence[_Target]) -> Finding:
    """Judges the difference between the slices with the greatest and the least value."""
    threshold = targets[0].threshold
    values = [target.item.candidate.get(target.metric, math.nan) for target in targets]
    rule = _bounds(threshold.metric, threshold.at_least, threshold.at_most)
    for target, value in zip(targets, values, strict=True):
        if not math.isfinite(value):
            return unless_allowed(
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


def _judge_target(target: _Target, evaluation: EvaluationResult) -> Iterator[Finding]:
    threshold, item = target.threshold, target.item
    value = item.candidate.get(target.metric, math.nan)
    if threshold.at_least is not None or threshold.at_most is not None:
        yield _bounded(target, value, threshold.at_least, threshold.at_most, "")
    if threshold.change is None or evaluation.baseline_classes is None:
        return  # another finding gives the reason
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
    """Compares the confidence bounds of the difference, instead of the difference."""
    item = target.item
    sure = f"with {confidence * 100:g} % confidence"
    rule = f"{_bounds(f'change of {target.metric}', bounds.at_least, bounds.at_most)} {sure}"
    units = "examples" if item.groups is None else "groups"
    if item.change is None or confidence not in item.change.bounds:
        return unless_allowed(
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
    """Returns candidate minus baseline, or that over the baseline's magnitude; NaN if undefined."""
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
        return unless_allowed(
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
