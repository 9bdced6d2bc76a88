import hashlib
import random

from components.ingest.records.duplicates import DigestRow, DigestTable, surplus_copies
from components.raster.reasons import Reason


def table(shard, *rows):
    """Rows of (content, key, split, label)."""
    return DigestTable.of(
        shard,
        [
            DigestRow(key, hashlib.sha256(content.encode()).digest(), split, (label,))
            for content, key, split, label in rows
        ],
    )


def rejected(*tables):
    return {
        (tables[shard].key(copy.position), copy.reason)
        for shard, copies in surplus_copies(tables).items()
        for copy in copies
    }


def test_without_duplicates_nothing_is_rejected():
    assert rejected(table(0, ("x", "a", "train", "c"), ("y", "b", "test", "c"))) == set()
    assert rejected(table(0)) == set()


def test_a_copy_in_another_split_goes_and_the_first_key_stays():
    tables = (
        table(0, ("x", "m", "train", "c"), ("y", "n", "train", "c")),
        table(1, ("x", "b", "test", "c"), ("x", "z", "test", "c")),
    )
    assert rejected(*tables) == {("m", Reason.DUPLICATE_ACROSS_SPLITS)}
    (copy,) = surplus_copies(tables)[0]
    assert copy.detail == "a copy of b, which is kept"


def test_a_copy_in_the_same_split_stays_unless_it_has_another_class():
    one = table(0, ("x", "a", "train", "c"), ("x", "b", "train", "c"), ("x", "d", "train", "e"))
    assert rejected(one) == {("d", Reason.CONFLICTING_LABEL)}


def test_the_order_of_shards_and_rows_does_not_matter():
    draw = random.Random(3)
    rows = [
        (f"content {draw.randrange(60)}", f"key {number:03d}", draw.choice(["train", "test"]), "c")
        for number in range(200)
    ]
    outcomes = []
    for _ in range(5):
        draw.shuffle(rows)
        cut = draw.randrange(200)
        outcomes.append(rejected(table(0, *rows[:cut]), table(1, *rows[cut:])))
    assert all(outcome == outcomes[0] for outcome in outcomes)
    by_content = {}
    for content, key, split, _ in sorted(rows, key=lambda row: row[1]):
        by_content.setdefault(content, (key, split))
    assert outcomes[0] == {
        (key, Reason.DUPLICATE_ACROSS_SPLITS)
        for content, key, split, _ in rows
        if by_content[content][1] != split
    }
