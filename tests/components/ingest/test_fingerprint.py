import hashlib
import json
import os
import random
import time

import pytest

from components.ingest.fingerprint import fingerprint_dataset
from components.ingest.listing.config import ManifestColumns
from components.ingest.photographs.config import FoldersSource, ManifestSource
from components.raster.fingerprint import fingerprint_of


@pytest.fixture
def root(tmp_path):
    for number in range(40):
        path = tmp_path / "data" / "ab"[number % 2] / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(random.Random(number).randbytes(300))
    return tmp_path / "data"


def of(root):
    return fingerprint_dataset(FoldersSource(uri=str(root)))


def test_the_same_content_has_the_same_fingerprint_wherever_and_whenever(root, tmp_path):
    before = of(root)
    os.utime(root / "a" / "0.jpg", (time.time() + 99, time.time() + 99))
    assert of(root) == before
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for path in sorted(root.rglob("*.jpg"), reverse=True):
        target = moved / path.relative_to(root)
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(path.read_bytes())
    assert of(moved) == before


def test_a_changed_byte_changes_it(root):
    before = of(root)
    path = root / "b" / "1.jpg"
    data = bytearray(path.read_bytes())
    data[150] ^= 1
    status = path.stat()
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert of(root) != before


@pytest.mark.parametrize("target", ["a/renamed.jpg", "b/0.jpg", None])
def test_a_new_name_another_class_or_a_missing_file_changes_it(root, target):
    before = of(root)
    if target is None:
        (root / "a" / "0.jpg").unlink()
    else:
        (root / "a" / "0.jpg").rename(root / target)
    assert of(root) != before


def test_files_that_swap_their_content_change_it(root):
    before = of(root)
    one, two = root / "a" / "0.jpg", root / "a" / "2.jpg"
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)
    assert of(root) != before


def test_what_ingest_ignores_does_not_change_it(root):
    before = of(root)
    (root / "a" / "notes.txt").write_text("new")
    assert of(root) == before


def test_a_manifest_counts_by_what_it_says(root):
    def of_rows(*rows):
        (root / "m.csv").write_text("\n".join(["uri,label,split,other", *rows]) + "\n")
        columns = ManifestColumns(split="split")
        return fingerprint_dataset(ManifestSource(uri=str(root / "m.csv"), columns=columns))

    base = of_rows("a/0.jpg,x,train,1", "b/1.jpg,y,,1")
    assert of_rows("b/1.jpg,y,,1", "a/0.jpg,x,train,2") == base
    assert of_rows("a/0.jpg,x,test,1", "b/1.jpg,y,,1") != base
    assert of_rows("a/0.jpg,z,train,1", "b/1.jpg,y,,1") != base
    assert of_rows("a/0.jpg,x,train,1", "b/1.jpg,y,,1", "missing.jpg,y,,1") != base


def test_the_digests_of_its_entries_are_hashed_in_their_order_whoever_computes_them():
    entries = [(f"é {number}", "label", None, [["year", number]]) for number in range(2000)]
    digests = [hashlib.sha256(json.dumps(entry).encode()).digest() for entry in entries]
    expected = hashlib.sha256(b"".join(sorted(digests))).hexdigest()
    assert fingerprint_of(entries) == fingerprint_of(reversed(entries)) == expected
    assert fingerprint_of(entries[:500], digests[500:]) == expected


def test_content_of_unknown_state_is_never_taken_for_the_same(tmp_path):
    """A store of an unknown kind: a cached run might show data that are long gone."""
    table = tmp_path / "table.csv"
    table.write_text("uri,label\nnowhere://bucket/1.jpg,a\n")
    source = ManifestSource(uri=str(table))
    assert fingerprint_dataset(source) != fingerprint_dataset(source)
