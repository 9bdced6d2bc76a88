"""Splits with a share of every class."""

from collections import Counter

import pytest

from components.raster.split import SplitConfig
from components.raster.stratify import stratified_splits

SHARES = SplitConfig(train=0.7, eval=0.15, test=0.15)


@pytest.mark.parametrize("salt", ["", "a", "b", "c"])
def test_every_class_has_its_share_however_rare(salt: str) -> None:
    units = {f"{name}-{i}": {name: 1} for name, n in (("a", 400), ("b", 20)) for i in range(n)}
    found = stratified_splits(units, SHARES.model_copy(update={"salt": salt}))
    counts = Counter((unit[0], split) for unit, split in found.items())
    assert counts == {
        ("a", "train"): 280,
        ("a", "eval"): 60,
        ("a", "test"): 60,
        ("b", "train"): 14,
        ("b", "eval"): 3,
        ("b", "test"): 3,
    }


def test_groups_stay_whole_and_classes_come_near_their_shares() -> None:
    units = {f"scene-{i}": {"a": 10, "b": 1 + i % 3} for i in range(40)}
    found = stratified_splits(units, SHARES)
    assert set(found) == set(units)
    test = [units[unit] for unit, split in found.items() if split == "test"]
    total = sum(unit["b"] for unit in units.values())
    assert sum(unit["b"] for unit in test) == pytest.approx(0.15 * total, abs=3)
    assert len(test) == pytest.approx(6, abs=1)


def test_the_order_of_units_has_no_say_and_the_salt_has() -> None:
    units = {f"{i}": {"a": 1} for i in range(100)}
    backwards = dict(reversed(units.items()))
    assert stratified_splits(units, SHARES) == stratified_splits(backwards, SHARES)
    salted = SHARES.model_copy(update={"salt": "other"})
    assert stratified_splits(units, SHARES) != stratified_splits(units, salted)
