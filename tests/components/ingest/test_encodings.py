"""Manifests in other encodings, and class names in both of Unicode's forms."""

import unicodedata
from pathlib import Path

import pytest

from components.ingest.listing.config import ManifestColumns
from components.ingest.listing.folders import list_folders
from components.ingest.listing.manifest import list_manifest, read_rows
from components.ingest.photographs.config import ManifestSource
from components.raster.errors import DataError

NFC, NFD = "Forêt", unicodedata.normalize("NFD", "Forêt")
CSV = "uri,label\na.png,Forêt\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_manifest_in_unicode_is_read(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "m.csv"
    path.write_bytes(CSV.encode(encoding))
    [record] = list_manifest(str(path), ManifestColumns()).records
    assert record.label == "Forêt"


def test_a_manifest_in_another_encoding_needs_to_say_so(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_bytes(CSV.encode("cp1252"))
    with pytest.raises(DataError, match="line 2 is not in UTF-8.*set encoding, such as cp1252"):
        list_manifest(str(path), ManifestColumns())
    [record] = list_manifest(str(path), ManifestColumns(), "cp1252").records
    assert record.label == "Forêt"


def test_a_line_of_json_may_hold_every_line_break_of_unicode(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    path.write_text('{"uri": "a.png", "label": "a\u2028b"}\r\n{"uri": "b.png", "label": "c"}\n')
    assert [row["label"] for row in read_rows(str(path))] == ["a\u2028b", "c"]


def test_both_forms_of_a_class_are_one_class(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    rows = [
        f'{{"uri": "{n}.png", "several": ["{it}"], "g": "{it}"}}' for n, it in enumerate((NFC, NFD))
    ]
    path.write_text("\n".join(rows))
    columns = {"labels": "several", "group": "g", "slices": ["g"]}
    source = ManifestSource.model_validate({"uri": str(path), "columns": columns})
    for record in list_manifest(source.uri, source.columns).records:
        assert (record.labels, record.group, record.slices) == ((NFC,), NFC, {"g": NFC})
    for form in (NFC, NFD):
        (tmp_path / "folders" / form).mkdir(parents=True)
        (tmp_path / "folders" / form / f"{len(form)}.png").touch()
    found = list_folders(str(tmp_path / "folders"))
    assert {record.label for record in found.records} == {NFC}
    assert {record.key for record in found.records} == {f"{NFC}/5.png", f"{NFD}/6.png"}
