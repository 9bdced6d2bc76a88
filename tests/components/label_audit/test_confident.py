"""The confident joint, held against cleanlab on the same probabilities."""

import numpy as np
import pytest

from components.label_audit.confident import (
    confident_classes,
    confident_presence,
    deviating_numbers,
)


def noisy(seed: int, flips: float = 0.06):
    """Probabilities of a fair model, the true classes, and labels of which some are flipped."""
    rng = np.random.default_rng(seed)
    true = rng.choice(6, 900, p=[0.35, 0.25, 0.15, 0.1, 0.1, 0.05])
    logits = rng.normal(0, 1.2, (900, 6))
    logits[np.arange(900), true] += 3.0
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    flipped = rng.random(900) < flips
    given = np.where(flipped, (true + rng.integers(1, 6, 900)) % 6, true)
    return given, probabilities, flipped


@pytest.mark.parametrize("seed", range(3))
def test_as_many_wrong_labels_are_found_as_cleanlab_finds(seed):
    from cleanlab.filter import find_label_issues

    given, probabilities, flipped = noisy(seed)
    suspects = confident_classes(given, probabilities).suspects
    theirs = find_label_issues(given, probabilities, n_jobs=1)
    assert flipped[suspects].sum() >= (flipped & theirs).sum()
    assert flipped[suspects].mean() >= flipped[theirs].mean() - 0.05
    assert flipped[suspects].sum() >= 0.8 * flipped.sum()
    # The most suspicious are the surest: of the first twenty nearly all are wrong indeed.
    assert flipped[suspects[:20]].sum() >= 18


def test_the_joint_is_cleanlabs():
    from cleanlab.count import compute_confident_joint

    given, probabilities, _ = noisy(7)
    theirs = compute_confident_joint(given, probabilities, calibrate=False)
    ours = confident_classes(given, probabilities).joint
    off = ~np.eye(6, dtype=bool)
    assert ours[off].tolist() == theirs[off].tolist()


def test_right_labels_of_a_sure_model_give_no_suspects():
    given = np.arange(30) % 3
    probabilities = np.full((30, 3), 0.02)
    probabilities[np.arange(30), given] = 0.96
    found = confident_classes(given, probabilities)
    assert found.suspects.size == 0
    assert found.joint.tolist() == np.diag([10, 10, 10]).tolist()


def test_a_class_without_examples_is_never_suggested():
    found = confident_classes(np.array([0, 0]), np.array([[0.1, 0.9], [0.6, 0.4]]))
    assert found.suspects.size == 0


def test_presence_is_judged_class_by_class():
    given = np.array([[True, False]] * 5 + [[False, True]] * 5)
    probabilities = np.where(given, 0.9, 0.1)
    given[0, 1] = True  # spurious
    given[5, 1] = False  # missing
    suspicion = confident_presence(given, probabilities)
    assert np.argwhere(suspicion > 0).tolist() == [[0, 1], [5, 1]]


def test_a_number_far_from_what_others_lead_to_expect_is_suspect():
    rng = np.random.default_rng(0)
    given = rng.normal(10, 3, 200)
    predicted = given + rng.normal(0, 0.5, 200)
    given[3] += 8
    assert deviating_numbers(given, predicted).argmax() == 3
    assert (deviating_numbers(given, predicted) > 0).sum() <= 3
    assert deviating_numbers(np.ones(4), np.ones(4)).sum() == 0


def test_a_wrong_number_is_found_where_most_errors_are_exactly_equal():
    given, predicted = np.arange(20.0), np.arange(20.0)
    given[7] += 9
    assert np.flatnonzero(deviating_numbers(given, predicted)).tolist() == [7]
