"""Figures in a page's tables: the headline, the slices' metrics, the pairs of classes."""

from dataclasses import dataclass

import numpy as np

from components.evaluation.result import Evaluation
from components.evaluation.tasks.registry import evaluated_task

_MOST_PAIRS = 30


@dataclass(frozen=True)
class Headline:
    """The main metric over all examples: its value, its name, and a sentence on it."""

    value: float
    title: str
    detail: str


def headline_of(evaluation: Evaluation | None) -> Headline | None:
    """Returns the main metric with its interval and the served model's; None without examples."""
    overall = evaluation.overall if evaluation else None
    if evaluation is None or overall is None:
        return None
    evaluated = evaluated_task(evaluation.task)
    value = overall.candidate.get(evaluated.headline)
    if value is None:
        return None
    parts = [f"{overall.examples:,} examples"]
    if overall.interval:
        low, high = overall.interval
        parts.append(f"95 % interval {low:.3f} to {high:.3f}")
    served = (overall.baseline or {}).get(evaluated.headline)
    if served is not None:
        parts.append(f"served version {evaluation.baseline_version}: {served:.3f}")
    return Headline(value, evaluated.title, ", ".join(parts))


def metrics_of(evaluation: Evaluation | None) -> tuple[str, ...]:
    """Returns the columns of the slice table: the metrics with one value per slice."""
    overall = evaluation.overall if evaluation else None
    names = overall.candidate if overall else ()
    return tuple(name for name in names if "/" not in name and not name.endswith("_count"))


def most_confused(evaluation: Evaluation | None) -> list[tuple[str, str, int]]:
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
