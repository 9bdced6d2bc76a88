import hashlib
import random
from collections import Counter

import pytest
from pydantic import ValidationError

from components.raster.split import SplitConfig, drawn_split, split_named, split_of

CONFIG = SplitConfig(train=0.6, eval=0.3, test=0.1)


def sha(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def test_the_given_split_comes_first_then_the_group_then_the_content():
    assert split_of(sha(1), "farm", "test", CONFIG) == "test"
    by_group = {split_of(sha(number), "farm", None, CONFIG) for number in range(50)}
    assert by_group == {drawn_split("group", "farm", CONFIG)}
    by_content = {split_of(sha(number), None, None, CONFIG) for number in range(50)}
    assert by_content == {"train", "eval", "test"}


def test_fractions_are_met():
    counts = Counter(split_of(sha(number), None, None, CONFIG) for number in range(20_000))
    for split, fraction in (("train", 0.6), ("eval", 0.3), ("test", 0.1)):
        # Four standard deviations of a binomial draw.
        margin = 4 * (fraction * (1 - fraction) / 20_000) ** 0.5
        assert counts[split] / 20_000 == pytest.approx(fraction, abs=margin)


def test_a_draw_is_the_same_on_every_day():
    """Pinned: another hash would move every user's examples between splits."""
    drawn = [drawn_split("content", sha(number), SplitConfig()) for number in range(12)]
    expected = []
    for number in range(12):
        digest = hashlib.sha256(b"\0content\0" + sha(number).encode()).digest()
        place = int.from_bytes(digest[:8], "big") / 2**64
        expected.append("train" if place < 0.7 else "eval" if place < 0.85 else "test")
    assert drawn == expected


def test_another_salt_is_another_draw():
    salted = SplitConfig(salt="second")
    draws = [(split_of(sha(n), None, None, c)) for c in (SplitConfig(), salted) for n in range(99)]
    assert draws[:99] != draws[99:]


def test_wider_training_moves_nothing_out_of_training():
    wide = SplitConfig(train=0.8, eval=0.1, test=0.1)
    values = [sha(number) for number in random.Random(1).sample(range(10_000), 500)]
    for value in values:
        if split_of(value, None, None, CONFIG) == "train":
            assert split_of(value, None, None, wide) == "train"


@pytest.mark.parametrize(
    ("name", "split"),
    [("train", "train"), (" Val ", "eval"), ("validation", "eval"), ("TEST", "test"), ("", None)],
)
def test_names_of_splits(name, split):
    assert split_named(name) == split


def test_an_unknown_name_says_which_are_known():
    with pytest.raises(ValueError, match="no split 'holdout': use train, eval, test"):
        split_named("holdout")


def test_fractions_must_add_up():
    with pytest.raises(ValidationError, match=r"must add up to 1, not 1\.2"):
        SplitConfig(train=0.9, eval=0.2, test=0.1)
    with pytest.raises(ValidationError):
        SplitConfig(train=0.9, eval=0.1, test=0)
