"""Estimates are held to worked examples of the papers and to a simulation."""

import numpy as np
import pytest

from components.assessment.comparison import exact_paired_test
from components.assessment.design import allocate, size_for, units_for
from components.assessment.estimators import LabelledSample, estimate
from components.raster.errors import DataError

# Olofsson et al. (2014), table 8: rows as mapped, columns as labelled; pixels of each mapped class.
CHANGE = np.array([[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]])
CHANGE_PIXELS = np.array([200_000, 150_000, 3_200_000, 6_450_000])


def change_sample() -> LabelledSample:
    mapped = np.repeat(np.arange(4), CHANGE.sum(axis=1))
    reference = np.concatenate([np.repeat(np.arange(4), row) for row in CHANGE])
    return LabelledSample(CHANGE_PIXELS, mapped, mapped, reference)


def test_the_worked_example_of_olofsson_is_reproduced() -> None:
    found = estimate(change_sample(), classes=4)

    def printed(items: object) -> list[str]:
        assert isinstance(items, tuple)
        return [f"{it.value:.2f} ± {1.96 * it.standard_error:.2f}" for it in items]

    assert printed((found.overall,)) == ["0.95 ± 0.02"]
    assert printed(found.users) == ["0.88 ± 0.07", "0.73 ± 0.10", "0.93 ± 0.04", "0.96 ± 0.02"]
    assert printed(found.producers) == ["0.75 ± 0.21", "0.85 ± 0.25", "0.93 ± 0.03", "0.96 ± 0.02"]
    hectares = [share.times(10_000_000 * 0.09) for share in found.shares]
    assert [round(it.value) for it in hectares] == [21_158, 11_686, 285_770, 581_386]
    assert round(1.96 * hectares[0].standard_error) == 6_158
    # The paper prints the proportion 0.0235 and its standard error 0.0035.
    assert found.shares[0].value == pytest.approx(0.0235, abs=5e-5)
    assert found.shares[0].standard_error == pytest.approx(0.0035, abs=5e-5)


def test_the_worked_example_of_strata_other_than_classes_is_reproduced() -> None:
    # Stehman (2014), table 2 and pages 4932 to 4936.
    letters = "ABCD"
    strata = "A" * 10 + "B" * 10 + "C" * 10 + "D" * 10
    mapped = "AAAAAAABBB" + "ABBBBBBBBB" + "BBCCCCCCBB" + "D" * 10
    reference = "AAAAACBABC" + "ABBBBBAABB" + "CCCCCDDBBA" + "DDDDDDDCCB"
    as_index = [
        np.array([letters.index(it) for it in text]) for text in (strata, mapped, reference)
    ]
    sample = LabelledSample(np.array([40_000, 30_000, 20_000, 10_000]), *as_index)
    found = estimate(sample, classes=4)
    assert found.shares[0].value == pytest.approx(0.35)
    assert found.shares[2].value == pytest.approx(0.20)
    assert found.overall.value == pytest.approx(0.63)
    assert found.users[1] is not None
    assert found.producers[1] is not None
    assert found.users[1].value == pytest.approx(0.574, abs=5e-4)
    assert found.producers[1].value == pytest.approx(0.794, abs=5e-4)
    assert found.confusion[1, 2] == pytest.approx(0.08)
    assert found.shares[0].standard_error == pytest.approx(0.082, abs=5e-4)
    assert found.overall.standard_error == pytest.approx(0.085, abs=5e-4)
    assert found.users[1].standard_error == pytest.approx(0.125, abs=5e-4)


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    random = np.random.default_rng(1)
    truth = random.choice(3, size=60_000, p=[0.1, 0.3, 0.6])
    mapped = np.where(random.random(60_000) < 0.2, random.integers(0, 3, 60_000), truth)
    share, right = np.mean(truth == 0), np.mean(truth == mapped)
    population = np.bincount(mapped)
    covered = []
    for _ in range(300):
        chosen = np.concatenate(
            [random.choice(np.flatnonzero(mapped == it), 100, replace=False) for it in range(3)]
        )
        found = estimate(
            LabelledSample(population, mapped[chosen], mapped[chosen], truth[chosen]), 3
        )
        covered.append(
            [
                abs(it.value - true) <= it.half_width(0.95)
                for it, true in ((found.overall, right), (found.shares[0], share))
            ]
        )
    # 300 draws of 0.95 stay within 0.91 and 0.99 but once in a thousand times.
    assert (np.mean(covered, axis=0) > 0.91).all()
    assert (np.mean(covered, axis=0) < 0.99).all()


def test_a_class_that_the_map_lacks_has_an_area_but_no_users_accuracy() -> None:
    stratum = np.zeros(4, np.int64)
    sample = LabelledSample(np.array([100]), stratum, stratum, np.array([0, 0, 0, 1]))
    found = estimate(sample, classes=2)
    assert found.users[1] is None
    assert found.producers[1] is not None
    assert found.producers[1].value == 0
    assert found.shares[1].value == pytest.approx(0.25)


def test_a_stratum_of_one_label_is_refused() -> None:
    sample = LabelledSample(
        np.array([50, 50]), np.array([0, 0, 1]), np.array([0, 0, 1]), np.array([0, 0, 1])
    )
    with pytest.raises(DataError, match="fewer than two labelled units"):
        estimate(sample, classes=2)


def test_the_sample_size_of_the_paper_is_reproduced() -> None:
    # Olofsson et al. (2014), section 5.1.1: a standard error of 0.01 needs 641 units.
    accuracy = np.array([0.7, 0.6, 0.9, 0.95])
    assert size_for(CHANGE_PIXELS, accuracy, half_width=1.959964 * 0.01) == 641


def test_a_wanted_interval_is_reached_though_rare_classes_take_units_from_the_large_one() -> None:
    population = np.array([910_000] + [10_000] * 9)
    accuracy = np.full(10, 0.85)
    units = units_for(population, accuracy, half_width=0.03, minimum=50)
    assert (units[1:] == 50).all()
    # By hand: z^2 p (1 - p) (0.91^2 / n + 9 * 0.01^2 / 50) = 0.03^2 gives n = 455.1.
    assert units[0] in (455, 456)


def test_small_strata_get_their_floor_and_large_ones_share_the_rest() -> None:
    units = allocate(100, np.array([10, 40, 10_000, 30_000]), minimum=20)
    assert units.tolist() == [10, 20, 20, 50]
    assert allocate(10, np.array([500, 500]), minimum=20).tolist() == [20, 20]
    assert allocate(11, np.array([500, 500]), minimum=2).tolist() == [6, 5]


def test_the_paired_test_is_exact() -> None:
    # Of ten tosses of a coin: 2 (1 + 10) / 1024.
    assert exact_paired_test(1, 9) == exact_paired_test(9, 1) == 22 / 1024
    assert exact_paired_test(0, 0) == exact_paired_test(5, 5) == 1
