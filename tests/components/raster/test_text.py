"""Text in the usual encodings, and one form for each name."""

import codecs
import unicodedata
from typing import Any

import pytest

from components.ingest.config import IngestConfig
from components.raster.labels.class_raster import ClassLegend
from components.raster.text import composed, decoded
from serving.contract.contract import Contract

NFC, NFD = "Forêt", unicodedata.normalize("NFD", "Forêt")


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        ("Forêt".encode(), None),
        ("Forêt".encode(), "utf-8"),
        ("Forêt".encode("utf-8-sig"), None),
        ("Forêt".encode("utf-8-sig"), "utf-8"),
        ("Forêt".encode("utf-16"), None),
        (codecs.BOM_UTF16_BE + "Forêt".encode("utf-16-be"), None),
        ("Forêt".encode("utf-32"), None),
        ("Forêt".encode("utf-16"), "utf-16"),
        ("Forêt".encode("utf-16-le"), "utf-16-le"),
        ("Forêt".encode("latin-1"), "latin-1"),
        ("Forêt".encode("cp1252"), "cp1252"),
    ],
)
def test_text_is_read_in_its_encoding(data: bytes, encoding: str | None) -> None:
    assert decoded(data, encoding) == "Forêt"


@pytest.mark.parametrize(
    ("data", "encoding", "message"),
    [
        ("uri\nForêt".encode("latin-1"), None, r"line 2 is not in UTF-8 \(ea at byte 7\): set enc"),
        ("Foret".encode("utf-16-le"), None, "null characters.*utf-16-le"),
        ("Forêt".encode("latin-1"), "ascii", "not in ascii"),
        (b"F", "utf-16-le", "not in utf-16-le"),
    ],
)
def test_text_in_another_encoding_is_reported(data: bytes, encoding: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        decoded(data, encoding)


def test_an_encoding_that_is_none_is_refused_in_the_configuration() -> None:
    for name in ("utf8x", "base64"):
        source = {"kind": "manifest", "uri": "a.csv", "encoding": name}
        with pytest.raises(ValueError, match="is not an encoding"):
            IngestConfig.model_validate({"source": source})


def test_names_of_classes_have_one_form_wherever_they_are_written() -> None:
    assert NFC != NFD
    assert composed(NFD) == NFC
    legend = ClassLegend.model_validate({"values": {1: NFD, 2: NFC}, "ignore": [NFD]})
    assert legend.class_names == ()
    source = {
        "kind": "scenes",
        "uri": "scenes",
        "labels": {"kind": "shapes", "path": "a.gpkg", "class_name": NFD},
        "target": {"to": "class", "background": NFD},
    }
    config = IngestConfig.model_validate(
        {"source": source, "image": {"bands": ["red"]}, "classes": [NFD, "mer"]}
    )
    assert config.classes == (NFC, "mer")
    assert config.source.labels.class_name == NFC
    assert config.source.target.background == NFC
    with pytest.raises(ValueError, match="names a class twice"):
        IngestConfig.model_validate(
            {"source": {"kind": "folders", "uri": "x"}, "classes": [NFD, NFC]}
        )
    contract = Contract.model_validate({"image": {}, "classes": [NFD]})
    assert contract.classes == (NFC,)
