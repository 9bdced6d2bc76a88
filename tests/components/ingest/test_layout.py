"""The listing, through which records reach the workers."""

import pytest

from components.ingest.files.layout import listing_lines, records_of
from components.ingest.records.record import Record, Records


@pytest.mark.parametrize(
    "record",
    [
        Record("a.png", "/data/a.png", "roof"),
        Record("a.png", "/data/a.png", labels=("field", "roof")),
        Record("a.png", "/data/a.png", labels=()),
        Record("a.png", "/data/a.png", number=0.0),
        Record("a.png", "/data/a.png", number=2.5, slices={"region": "north", "year": 2020}),
        Record("a.png", "/data/a.png", "roof", None, "train", "town", {"region": "north"}),
    ],
)
def test_a_record_is_the_same_on_the_other_side(record: Record) -> None:
    (line,) = listing_lines(Records([record]), 1)
    assert records_of(line) == [record]
    assert sorted(map(len, map(records_of, listing_lines(Records([record]), 2)))) == [0, 1]
