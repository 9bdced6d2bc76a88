"""A check that any task's tally is independent of the grouping and order of observations."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from components.evaluation.tasks.base import EvaluatedTask


def interval_of(evaluated: EvaluatedTask[Any], tally: Any) -> tuple[float, float] | None:
    """The interval of the headline, as the evaluation stores and reads it."""
    bounds = evaluated.bounds(tally, evaluated.replicated(tally).headline)
    counted = {"example_count": float(tally.examples)}
    return evaluated.interval(evaluated.overall(tally) | bounds | counted)


def same_however_merged(
    evaluated: EvaluatedTask[Any], observed: Sequence[Any], class_count: int
) -> None:
    """Counts in one go, in parts merged left to right, and in parts of another order."""
    order = np.random.default_rng(0).permutation(len(observed))
    together = _counted(evaluated, observed, class_count)
    parts = [_counted(evaluated, observed[at::4], class_count) for at in range(4)]
    left = evaluated.empty(class_count).merge(parts)
    shuffled = [observed[at] for at in order]
    pair = _counted(evaluated, shuffled[:7], class_count).merge(
        [_counted(evaluated, shuffled[7:], class_count), evaluated.empty(class_count)]
    )
    expected = evaluated.overall(together)
    for merged in (left, pair):
        assert merged.examples == together.examples
        assert evaluated.overall(merged) == pytest.approx(expected, nan_ok=True)
        assert interval_of(evaluated, merged) == pytest.approx(interval_of(evaluated, together))
        for name, values in evaluated.per_class(together).items():
            np.testing.assert_allclose(evaluated.per_class(merged)[name], values, err_msg=name)


def _counted(evaluated: EvaluatedTask[Any], observed: Sequence[Any], class_count: int) -> Any:
    tally = evaluated.empty(class_count)
    for observation in observed:
        evaluated.add(tally, *observation)
    return tally
