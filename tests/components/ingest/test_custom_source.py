"""Photographs that the user's own code lists."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from components.ingest.config import IngestConfig
from components.ingest.fingerprint import fingerprint_dataset
from components.ingest.photographs.config import CustomSource
from components.ingest.records.record import Record
from components.ingest.sources import list_source
from components.raster.errors import ConfigError, DataError
from components.raster.reasons import Reason

NAMED = "skymill_example.sources:named_files"


@pytest.fixture
def images(tmp_path: Path) -> Path:
    names = ("p1_water_1", "p1_soil_1", "p2_water_1", "notes")
    for number, name in enumerate(names):
        image = Image.fromarray(np.full((8, 8, 3), 40 * number, np.uint8))
        image.save(tmp_path / f"{name}.png")
    return tmp_path


def source(uri: Path, call: str = NAMED, truth: str = "label", **more: Any) -> CustomSource:
    return CustomSource.model_validate(
        {"kind": "custom", "call": call, "uri": str(uri), "truth": truth, **more}
    )


def here(name: str) -> str:
    return f"{__name__}:{name}"


def untidy(uri: str) -> Iterator[Record]:
    yield Record("a", f"{uri}/a.png", label="water")
    yield Record("a", f"{uri}/b.png", label="water")
    yield Record("c", f"{uri}/c.png")
    yield Record("d", f"{uri}/d.png", label="water", split="validation")


def several(uri: str) -> Iterator[Record]:
    yield Record("a", f"{uri}/a.png", labels=("water", "soil", "water"))


def broken(uri: str) -> Iterator[Record]:
    raise KeyError("catalogue")


def paths(uri: str) -> list[str]:
    return [uri]


def test_records_and_rejects_are_those_of_the_code(images: Path) -> None:
    found = list_source(IngestConfig(source=source(images)))
    assert [(it.key, it.label, it.group) for it in found.records] == [
        ("p1_soil_1.png", "soil", "p1"),
        ("p1_water_1.png", "water", "p1"),
        ("p2_water_1.png", "water", "p2"),
    ]
    assert found.classes == ("soil", "water")
    (reject,) = found.rejects
    assert (reject.key, reject.reason) == ("notes.png", Reason.NO_LABEL)


def test_a_record_that_cannot_become_an_example_is_a_reject(tmp_path: Path) -> None:
    found = list_source(IngestConfig(source=source(tmp_path, here("untidy"))))
    assert [it.key for it in found.records] == ["a"]
    assert sorted((it.key, it.reason) for it in found.rejects) == [
        ("a", Reason.DUPLICATE_KEY),
        ("c", Reason.NO_LABEL),
        ("d", Reason.UNKNOWN_SPLIT),
    ]
    found = list_source(IngestConfig(source=source(tmp_path, here("several"), "labels")))
    assert [it.labels for it in found.records] == [("soil", "water")]


def test_its_fingerprint_follows_what_it_lists_and_the_images(images: Path) -> None:
    whole = fingerprint_dataset(source(images), None)
    assert fingerprint_dataset(source(images), None) == whole
    (images / "p1_soil_1.png").rename(images / "p1_water_2.png")  # the same pixels, another class
    renamed = fingerprint_dataset(source(images), None)
    assert renamed != whole
    Image.fromarray(np.full((8, 8, 3), 7, np.uint8)).save(images / "p1_water_2.png")
    assert fingerprint_dataset(source(images), None) != renamed


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("broken", DataError, "cannot be listed: .*broken failed with KeyError: 'catalogue'"),
        ("paths", ConfigError, "^ingest.source.call: .*paths yields a str; it must yield a Record"),
        ("absent", ConfigError, "^ingest.source.call: .* has no absent"),
    ],
)
def test_code_that_gives_no_records_is_an_error(
    tmp_path: Path, name: str, kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        list_source(IngestConfig(source=source(tmp_path, here(name))))


def test_masks_need_a_legend(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="truth: mask and legend go together"):
        source(tmp_path, truth="mask")
    legend = {"values": {0: "soil", 1: "water"}}
    assert source(tmp_path, truth="mask", legend=legend).task == "segmentation"
