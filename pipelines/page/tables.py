"""Figures in a page's tables: the headline, the slices' metrics, the pairs of classes."""

from dataclasses import dataclass

import numpy as np

from components.evaluation.paired import INTERVAL
from components.evaluation.result import UNKNOWN_CLASS, EvaluationResult
from components.evaluation.tasks.bootstrap import bounds_of
from components.evaluation.tasks.measures import WITHOUT_TRUTH
from components.evaluation.tasks.registry import evaluated_task

_MOST_PAIRS = 30
#: A confusion of more classes is listed by its most frequent pairs.
_MOST_CLASSES = 30


@dataclass(frozen=True)
class Headline:
    """The main metric over all examples: its value, its name, and a sentence on it."""

    value: float
    title: str
    detail: str


def headline_of(evaluation: EvaluationResult | None) -> Headline | None:
    """Returns the main metric with its interval and the served model's; None without examples."""
    overall = evaluation.overall if evaluation else None
    if evaluation is None or overall is None:
        return None
    evaluated = evaluated_task(evaluation.task)
    value = overall.candidate.get(evaluated.headline)
    if value is None:
        return None
    parts = [f"{overall.examples:,} examples"]
    if overall.groups is not None:
        parts[0] += f" of {overall.groups:,} groups"
    if overall.interval:
        parts.append(f"95 % interval {_between(overall.interval)}")
    served = (overall.baseline or {}).get(evaluated.headline)
    if served is not None:
        parts.append(f"served version {evaluation.baseline_version}: {served:.3f}")
    if overall.change:
        low, high = overall.change.bounds[INTERVAL]
        parts.append(f"difference {overall.change.difference:+.3f} ({low:+.3f} to {high:+.3f})")
    if evaluation.mcnemar:
        parts.append(f"McNemar's test p = {evaluation.mcnemar.p_value:.3g}")
    return Headline(value, evaluated.title, ", ".join(parts))


def _between(bounds: tuple[float, float]) -> str:
    return f"{bounds[0]:.3f} to {bounds[1]:.3f}"


def metrics_of(evaluation: EvaluationResult | None) -> tuple[str, ...]:
    """Returns the columns of the slice table: the metrics with one value per slice."""
    overall = evaluation.overall if evaluation else None
    if evaluation is None or overall is None:
        return ()
    bounds = bounds_of(evaluated_task(evaluation.task).headline)
    return tuple(
        name
        for name in overall.candidate
        if "/" not in name and not name.endswith("_count") and name not in (*bounds, WITHOUT_TRUTH)
    )


@dataclass(frozen=True)
class Confusion:
    """Counts [true][predicted] of the named classes."""

    classes: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


def confusion_of(evaluation: EvaluationResult | None) -> Confusion | None:
    """Returns the confusion, without the unknown class where it never occurs.

    None without one, or if it has too many classes to be read.
    """
    if evaluation is None or not evaluation.confusion:
        return None
    names, counts = evaluation.confusion_classes, np.array(evaluation.confusion)
    occurs = counts.sum(axis=0) + counts.sum(axis=1)
    kept = [at for at, name in enumerate(names) if occurs[at] or name != UNKNOWN_CLASS]
    if len(kept) > _MOST_CLASSES:
        return None
    shown = counts[np.ix_(kept, kept)].tolist()
    return Confusion(tuple(names[at] for at in kept), tuple(map(tuple, shown)))


def most_confused(evaluation: EvaluationResult | None) -> list[tuple[str, str, int]]:
    """Returns the most frequent pairs of a true class and another predicted one, with counts."""
    if evaluation is None:
        return []
    names, counts = evaluation.confusion_classes, np.array(evaluation.confusion, np.int64)
    if not counts.size:
        return []
    np.fill_diagonal(counts, 0)
    order = np.argsort(-counts, axis=None, kind="stable")[:_MOST_PAIRS]
    places = zip(*np.unravel_index(order, counts.shape), strict=True)
    found = (
        (names[true], names[predicted], int(counts[true, predicted])) for true, predicted in places
    )
    return [pair for pair in found if pair[2]]
