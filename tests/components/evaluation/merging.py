"""A check of any task's tally: in whatever groups and order observations are counted."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from components.evaluation.tasks.base import Family


def same_however_merged(family: Family[Any], observed: Sequence[Any], class_count: int) -> None:
    """Counts in one go, in parts merged left to right, and in parts of another order."""
    order = np.random.default_rng(0).permutation(len(observed))
    together = _counted(family, observed, class_count)
    parts = [_counted(family, observed[at::4], class_count) for at in range(4)]
    left = family.empty(class_count).merge(parts)
    shuffled = [observed[at] for at in order]
    pair = _counted(family, shuffled[:7], class_count).merge(
        [_counted(family, shuffled[7:], class_count), family.empty(class_count)]
    )
    expected = family.overall(together)
    for merged in (left, pair):
        assert merged.examples == together.examples
        assert family.overall(merged) == pytest.approx(expected, nan_ok=True)
        for name, values in family.per_class(together).items():
            np.testing.assert_allclose(family.per_class(merged)[name], values, err_msg=name)


def _counted(family: Family[Any], observed: Sequence[Any], class_count: int) -> Any:
    tally = family.empty(class_count)
    for labels, predictions in observed:
        family.add(tally, labels, predictions)
    return tally
