import json

import pyarrow
import pyarrow.parquet
import pytest

from components.ingest.config import IngestConfig
from components.ingest.listing.config import ManifestColumns
from components.ingest.listing.manifest import typed_column
from components.ingest.photographs.config import ManifestSource
from components.ingest.sources import list_source
from components.raster.errors import DataError
from components.raster.reasons import Reason

COLUMNS = ManifestColumns(
    uri="file", label="class", split="split", group="farm", slices=("region", "year", "gsd")
)
ROWS = [
    {"file": "b/2.png", "class": "wheat", "split": "val", "farm": "", "region": "north"},
    {"file": "a/1.jpg", "class": "rye", "split": "", "farm": "7", "region": "south"},
]
for row, year, gsd in zip(ROWS, (2020, 2021), (0.5, 10.0), strict=True):
    row |= {"year": year, "gsd": gsd}


def write(path, rows):
    """The same rows in the format that the suffix names."""
    if path.suffix == ".csv":
        head = list(rows[0])
        lines = [",".join(str(row[name]) for name in head) for row in rows]
        path.write_text("\n".join([",".join(head), *lines]) + "\n")
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    return path


def listing(path, columns=COLUMNS, **options):
    return list_source(
        IngestConfig(source=ManifestSource(uri=str(path), columns=columns), **options)
    )


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_the_formats_say_the_same(tmp_path, suffix):
    found = listing(write(tmp_path / f"m{suffix}", ROWS))
    first, second = found.records
    assert (first.key, first.uri) == ("a/1.jpg", str(tmp_path / "a/1.jpg"))
    assert (first.label, first.split, first.group) == ("rye", None, "7")
    assert first.slices == {"region": "south", "year": 2021, "gsd": 10.0}
    assert (second.label, second.split, second.group) == ("wheat", "eval", None)
    assert found.classes == ("rye", "wheat")


def test_absolute_and_remote_files_are_their_own_keys(tmp_path):
    rows = [
        {"uri": "/data/x.jpg", "label": "a"},
        {"uri": "gs://bucket/y.jpg", "label": "a"},
        {"uri": "./sub/../z.jpg", "label": "a"},
    ]
    found = listing(write(tmp_path / "m.jsonl", rows), ManifestColumns())
    assert {record.key: record.uri for record in found.records} == {
        "/data/x.jpg": "/data/x.jpg",
        "gs://bucket/y.jpg": "gs://bucket/y.jpg",
        "z.jpg": f"{tmp_path}/./sub/../z.jpg",
    }


@pytest.mark.parametrize("several", ["b|a|", ["b", "a", "a"]])
def test_several_labels(tmp_path, several):
    columns = ManifestColumns(label=None, labels="tags")
    found = listing(write(tmp_path / "m.jsonl", [{"uri": "x.jpg", "tags": several}]), columns)
    assert found.records[0].labels == ("a", "b")
    assert found.records[0].label is None
    assert found.classes == ("a", "b")


@pytest.mark.parametrize(
    ("said", "by_default", "as_no_class"),
    [([], (), ()), ("", None, ()), (" | ", None, ()), (None, None, None)],
)
def test_an_image_of_no_class_is_distinguished_from_one_that_nobody_looked_at(
    tmp_path, said, by_default, as_no_class
):
    rows = [{"uri": "x.jpg", "tags": said}, {"uri": "y.jpg", "tags": ["a"]}, {"uri": "z.jpg"}]
    path = write(tmp_path / "m.jsonl", rows)
    for option, expected in (("reject", by_default), ("no_class", as_no_class)):
        found = listing(path, ManifestColumns(labels="tags", empty_labels=option))
        labels = {record.key: record.labels for record in found.records}
        wanted = {"y.jpg": ("a",)} if expected is None else {"x.jpg": expected, "y.jpg": ("a",)}
        assert labels == wanted
        rejected = {(reject.key, reject.reason) for reject in found.rejects}
        assert rejected == {(key, Reason.NO_LABEL) for key in {"x.jpg", "z.jpg"} - set(wanted)} | {
            ("z.jpg", Reason.NO_LABEL)
        }
        assert found.classes == ("a",)


def test_where_one_class_is_learnt_an_image_of_none_stays_a_reject(tmp_path):
    rows = [{"uri": "x.jpg", "label": "", "tags": []}, {"uri": "y.jpg", "label": "a", "tags": []}]
    path = write(tmp_path / "m.jsonl", rows)
    found = listing(path, ManifestColumns(label="label", labels="tags"))
    assert [reject.key for reject in found.rejects] == ["x.jpg"]
    with pytest.raises(ValueError, match="empty_labels: no_class is about"):
        ManifestColumns(label="label", labels="tags", empty_labels="no_class")


def test_bad_rows_are_rejects(tmp_path):
    rows = [
        {"uri": "good.jpg", "label": "a", "split": "train"},
        {"uri": "", "label": "a", "split": ""},
        {"uri": "unlabelled.jpg", "label": "", "split": ""},
        {"uri": "odd.jpg", "label": "a", "split": "holdout"},
    ]
    found = listing(write(tmp_path / "m.csv", rows), ManifestColumns(split="split"))
    assert [record.label for record in found.records] == ["a"]
    assert {(reject.key, reject.reason) for reject in found.rejects} == {
        ("row 2", Reason.BAD_ROW),
        ("unlabelled.jpg", Reason.NO_LABEL),
        ("odd.jpg", Reason.UNKNOWN_SPLIT),
    }


def test_rows_of_one_file_leave_one_where_they_agree_and_none_where_they_do_not(tmp_path):
    rows = [
        *[{"uri": "same.jpg", "label": "a", "split": "train"}] * 3,
        {"uri": "odd.jpg", "label": "a", "split": "train"},
        {"uri": "x/../odd.jpg", "label": "b", "split": ""},
    ]
    found = listing(write(tmp_path / "m.csv", rows), ManifestColumns(split="split"))
    assert [(record.key, record.label) for record in found.records] == [("same.jpg", "a")]
    assert [reject.key for reject in found.rejects] == [
        "odd.jpg",
        "odd.jpg",
        "same.jpg",
        "same.jpg",
    ]
    assert {reject.reason for reject in found.rejects} == {Reason.DUPLICATE_KEY}
    assert found.rejects[0].detail == (
        "2 rows name the same file and contradict each other "
        "(label: 'a' or 'b'; split: 'train' or None)"
    )


def test_the_order_of_the_rows_does_not_matter(tmp_path):
    rows = [{"uri": f"{number % 7}.jpg", "label": f"c{number % 5}"} for number in range(14)]
    rows += [{"uri": "0.jpg", "label": "c0"}, {"uri": "9.jpg", "label": "c0"}]
    forward = listing(write(tmp_path / "m.csv", rows), ManifestColumns())
    assert listing(write(tmp_path / "m.csv", rows[::-1]), ManifestColumns()) == forward
    assert [record.key for record in forward.records] == ["9.jpg"]
    assert len(forward.rejects) == 15


@pytest.mark.parametrize(
    ("cells", "typed"),
    [
        (["1", "20", ""], [1, 20, None]),
        (["1", "2.5"], [1.0, 2.5]),
        (["007", "12"], ["007", "12"]),
        (["1", "n/a"], ["1", "n/a"]),
        (["inf", "1"], ["inf", "1"]),
        ([1, None, 3], [1, None, 3]),
        ([True, False], ["True", "False"]),
        ([1.5, float("nan")], [1.5, None]),
        (["2021-05-03"], ["2021-05-03"]),
    ],
)
def test_a_slice_column_has_one_type(cells, typed):
    found = list(typed_column(cells))
    assert found == typed
    assert [type(cell) for cell in found] == [type(cell) for cell in typed]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("m.csv", "path,label\nx.jpg,a\n", "has no column uri; it has label, path"),
        ("m.jsonl", "{not json\n", "is not valid jsonl"),
        ("m.jsonl", "[1]\n", "line 1 must hold one JSON object"),
        ("m.parquet", "nothing", "is not valid parquet"),
        ("m.xlsx", "", r"\.xlsx is not \.csv, \.jsonl or \.parquet"),
        ("m.csv", "", "no usable image"),
    ],
)
def test_a_manifest_that_cannot_be_read_is_an_error(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=message):
        listing(tmp_path / name, ManifestColumns())


def test_a_missing_manifest_is_an_error(tmp_path):
    with pytest.raises(DataError, match=r"m\.csv cannot be read"):
        listing(tmp_path / "m.csv")


def test_a_broken_line_is_named_by_its_own_number_and_column(tmp_path):
    path = tmp_path / "m.jsonl"
    path.write_text('{"uri": "a.jpg", "label": "x"}\n\n{"uri": "b.jpg", "label": }\n')
    [reject] = listing(path, ManifestColumns()).rejects
    assert (reject.uri, reject.reason) == (str(path), Reason.BAD_ROW)
    assert reject.detail == "line 3 is not JSON: Expecting value at column 27"


def test_a_column_that_is_there_twice_is_refused(tmp_path):
    path = tmp_path / "m.csv"
    path.write_text("uri,label,label\n1.png,a,b\n")
    with pytest.raises(DataError, match=r"m\.csv .* names a column twice: label; rename one"):
        listing(path, ManifestColumns())


def test_a_key_that_is_there_twice_spoils_its_line(tmp_path):
    path = tmp_path / "m.jsonl"
    path.write_text(
        '{"uri": "1.png", "uri": "2.png", "label": "a"}\n{"uri": "3.png", "label": "a"}\n'
    )
    found = listing(path, ManifestColumns())
    assert [record.key for record in found.records] == ["3.png"]
    (reject,) = found.rejects
    assert (reject.key, reject.reason) == ("row 1", Reason.BAD_ROW)
    assert "a key twice: uri" in reject.detail


@pytest.mark.parametrize("cell", [["a"], {"name": "a"}])
def test_a_list_is_no_name_of_a_class(tmp_path, cell):
    rows = [{"uri": "1.png", "label": cell}, {"uri": "2.png", "label": "b"}]
    found = listing(write(tmp_path / "m.jsonl", rows), ManifestColumns())
    assert found.classes == ("b",)
    (reject,) = found.rejects
    assert (reject.key, reject.reason) == ("row 1", Reason.BAD_ROW)
    assert "label must be a text or a number" in reject.detail


def test_a_backslash_keeps_a_bar_within_a_name_and_is_itself_elsewhere(tmp_path):
    path = tmp_path / "m.csv"
    path.write_text("uri,labels\n1.png,sand\\|mud|water\n2.png,a\\b|c\\\\|d\n")
    found = listing(path, ManifestColumns(labels="labels"))
    assert [record.labels for record in found.records] == [
        ("sand|mud", "water"),
        ("a\\b", "c\\", "d"),
    ]
