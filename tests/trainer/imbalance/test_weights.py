import numpy as np
import pytest
from pydantic import ValidationError
from sklearn.utils.class_weight import compute_class_weight

from trainer.imbalance.config import Imbalance
from trainer.imbalance.weights import class_weights, positive_weights

INVERSE, EFFECTIVE = Imbalance(class_weights="inverse"), Imbalance(class_weights="effective")


def test_inverse_weights_are_those_that_scikit_learn_calls_balanced():
    labels = np.repeat([0, 1, 2], [50, 9, 3])
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    assert class_weights((50, 9, 3), INVERSE) == pytest.approx(expected)


def test_effective_numbers_are_sums_of_powers_of_beta():
    """(1 - beta^n) / (1 - beta) is 1 + beta + ... + beta^(n - 1)."""
    config = Imbalance(class_weights="effective", beta=0.9)
    numbers = np.array([sum(0.9**power for power in range(count)) for count in (40, 4, 1)])
    found = np.array(class_weights((40, 4, 1), config))
    np.testing.assert_allclose(found / found[2], numbers[2] / numbers)
    assert found @ [40, 4, 1] / 45 == pytest.approx(1)  # the learning rate keeps its meaning


def test_weights_are_cut_and_a_class_without_examples_has_a_finite_one():
    cut = class_weights((10_000, 1), Imbalance(class_weights="inverse", most_weight=20))
    assert cut[1] / cut[0] == pytest.approx(20)
    never = class_weights((9, 0), INVERSE)
    assert never == pytest.approx((1.0, 9.0))


def test_presence_weighs_as_much_as_absence():
    assert positive_weights((10, 80, 0), 100, INVERSE) == pytest.approx((9, 1, 99))
    config = Imbalance(class_weights="inverse", most_weight=5)
    assert positive_weights((10, 80, 0), 100, config) == pytest.approx((5, 1, 5))
    effective = positive_weights((10,), 10_000, EFFECTIVE)[0]
    assert 1 < effective < 999
    numbers = [sum(0.999**power for power in range(count)) for count in (10, 9990)]
    assert effective == pytest.approx(min(numbers[1] / numbers[0], 100))


def test_without_a_word_nothing_is_weighted():
    assert class_weights((5, 1), Imbalance()) is None
    assert positive_weights((5, 1), 6, Imbalance()) is None
    with pytest.raises(ValidationError):
        Imbalance(class_weights="balanced")
