"""Records in compressed blocks: none changes, and their order is that of their keys."""

import random
import tracemalloc
from dataclasses import replace

import pytest

from components.ingest.listing.records import digest_of, entry_of
from components.ingest.records.record import Contents, Record, Records
from components.raster.fingerprint import entry_digest

KINDS = [
    Record("a/1.png", "/data/a/1.png", "roof"),
    Record("a/2.png", "/data/a/2.png"),
    Record("a/3.png", "/data/a/3.png", labels=("field", "roof")),
    Record("a/4.png", "/data/a/4.png", labels=()),
    Record("a/5.png", "/data/a/5.png", number=2.5, slices={"region": "north", "year": 2020}),
    Record("a/6.png", "/data/a/6.png", "roof", None, "train", "town", {"cloud": 0.5}),
    Record("a/7.png", "/data/a/7.png", mask_uri="/masks/7.png", boxes_of="7"),
    Record("Stra\udcdfe.png", "/data/Stra\udcdfe.png", "名前"),
]


def test_every_record_comes_back_beside_any_other() -> None:
    draw = random.Random(1)
    records = [draw.choice(KINDS) for _ in range(1000)]
    assert list(Records(records)) == records
    for record in KINDS:
        assert list(Records([record] * 200)) == [record] * 200


@pytest.mark.parametrize("record", [*KINDS, Record("a/0", "/a/0", number=-0.0)])
def test_a_records_digest_is_that_of_its_entry(record: Record) -> None:
    for checksums in (["ab" * 32], ["cd" * 32, '!"quoted"']):
        twice = [digest_of(record, checksums) for _ in range(2)]
        assert twice == [entry_digest(entry_of(record, checksums))] * 2


def test_they_are_sorted_by_the_code_points_of_their_keys() -> None:
    draw = random.Random(2)
    letters = "ab /.-é\udcff\uffee\U0001f600"
    keys = {"".join(draw.choices(letters, k=6)) for _ in range(30_000)}
    records = Records(Record(key, f"/{key}", "a") for key in keys)
    assert not records.is_sorted
    assert [record.key for record in records.by_key()] == sorted(keys)
    assert records.by_key().is_sorted


def test_contents_hold_a_hundred_thousand_images_in_little_memory() -> None:
    tracemalloc.start()
    try:
        found = Contents()
        for number in range(100_000):
            key = f"class_{number // 10_000}/{number:07d}.jpg"
            found.records.append(Record(key, f"/data/photos/{key}", key.partition("/")[0]))
        again = replace(found, records=found.records.by_key())
        _, peak = tracemalloc.get_traced_memory()
        assert len(again.records) == 100_000
        assert peak < 20 * 100_000  # a tuple and its texts take 300
    finally:
        tracemalloc.stop()
