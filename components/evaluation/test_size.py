"""Thresholds for which a split is too small: the interval is wider than their margin."""

import math
from collections.abc import Iterator, Sequence

from components.evaluation.config import Threshold
from components.evaluation.result import EvaluationResult, SliceMetrics
from components.evaluation.slices import parse_selector
from components.evaluation.tasks.registry import evaluated_task

#: Fact of a gate's report that lists them.
TOO_FEW = "too_few_examples"


def too_few_examples(
    thresholds: Sequence[Threshold], evaluation: EvaluationResult
) -> Iterator[str]:
    """Yields a sentence for each threshold and slice whose verdict depends on chance.

    Only the headline metric has an interval. A threshold on its value is undecided if the bound
    is within the 95 % interval; one on its change, if half the interval is wider than the
    permitted change, unless the threshold sets a confidence.
    """
    headline = evaluated_task(evaluation.task).headline
    for threshold in thresholds:
        if threshold.metric != headline:
            continue
        selector = parse_selector(threshold.slice)
        for item in evaluation.slices:
            if selector.matches(item.key) and item.examples >= threshold.min_examples:
                yield from _undecided(threshold, item, evaluation.baseline_classes is not None)


def _undecided(threshold: Threshold, item: SliceMetrics, compared: bool) -> Iterator[str]:
    if item.interval is None or not item.examples:
        return
    low, high = item.interval
    seen = f"{threshold.metric} on {item.name} lies between {low:.3g} and {high:.3g} (95 %)"
    for bound in (threshold.at_least, threshold.at_most):
        if bound is not None and low < bound < high:
            yield f"{seen}, and the threshold {bound:g} is within: {_count(item)}"
    change = threshold.change
    if change is None or change.relative or change.confidence or not compared:
        return
    margins = [abs(it) for it in (change.at_least, change.at_most) if it]
    half = (high - low) / 2
    if margins and half > min(margins):
        needed = math.ceil(item.units * (half / min(margins)) ** 2)
        yield (
            f"{seen}, and the threshold is a change of {min(margins):g}: "
            f"{_count(item)}; about {needed:,} would do"
        )


def _count(item: SliceMetrics) -> str:
    count, unit = item.units, "example" if item.groups is None else "group"
    return f"{count} {unit}{'' if count == 1 else 's'} cannot tell"
