"""Metrics of several labels with fractional truth, or with a class that never occurs."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from trainer.tasks.multi_label import MultiLabel

TRUTH = np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 0], [1, 0, 0]], np.float32)
LOGITS = np.array([[2, -1, -3], [1, 3, -2], [3, -2, 1], [-1, -3, -1], [-2, -4, -5]], np.float32)


def measured(truth):
    found = {}
    for metric in MultiLabel(("a", "b", "c"), 0.5).metrics():
        metric.update_state(truth, LOGITS)
        found[metric.name] = float(metric.result())
    return found


@pytest.mark.parametrize("share", [0.0, 0.1, 0.4], ids=lambda share: f"{share:g} spread")
def test_shares_of_the_truth_count_as_what_is_nearer(share):
    found = measured(TRUTH * (1 - share) + share / 2)
    right = (TRUTH > 0.5) == (LOGITS > 0)
    assert found["accuracy"] == pytest.approx(right.mean())
    assert found["exact_match"] == pytest.approx(right.all(axis=1).mean())


def test_the_mean_area_is_over_the_classes_that_are_seen():
    wanted = np.mean([roc_auc_score(TRUTH[:, k], LOGITS[:, k]) for k in (0, 1)])
    for truth in (TRUTH, TRUTH * 0.8 + 0.1):
        assert measured(truth)["macro_auc"] == pytest.approx(wanted, abs=0.01)
