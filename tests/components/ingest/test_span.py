"""The ingestion interval that a run reads."""

import datetime
from pathlib import Path

import pytest
from PIL import Image
from pydantic import ValidationError

from components.ingest.choose_span import choose_span
from components.ingest.config import IngestConfig
from components.ingest.files.spans import find_span, span_number
from components.ingest.fingerprint import fingerprint_dataset
from components.ingest.sources import list_source
from components.raster.errors import ConfigError, DataError


def add_image(folder: Path, colour: str = "red") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), colour).save(folder / f"{colour}.png")


def folders(place: Path | str, **more: object) -> IngestConfig:
    return IngestConfig.model_validate({"source": {"kind": "folders", "uri": str(place)}, **more})


def test_the_newest_span_is_read_by_number_and_not_by_name(tmp_path: Path) -> None:
    for name in ("span-2", "span-9", "span-10", "span-11.partial", "other"):
        add_image(tmp_path / name / "field")
    found = choose_span(folders(tmp_path / "span-{SPAN}"))
    assert found.span == 10
    assert found.source.uri == str(tmp_path / "span-10")
    assert [record.key for record in list_source(found).records] == ["field/red.png"]


def test_a_day_is_a_span_and_what_only_looks_like_one_is_none(tmp_path: Path) -> None:
    for name in ("2026-02-28", "2026-02-30", "2025-12-31"):
        add_image(tmp_path / name / "images" / "field")
    found = choose_span(folders(tmp_path / "{YYYY}-{MM}-{DD}" / "images"))
    assert found.span == datetime.date(2026, 2, 28)
    assert found.source.uri == str(tmp_path / "2026-02-28" / "images")
    assert span_number(datetime.date(1970, 3, 1)) == 59
    assert IngestConfig.model_validate_json(found.model_dump_json()) == found


def test_the_span_that_is_asked_for_in_its_newest_version(tmp_path: Path) -> None:
    for name in ("3-1", "3-2", "4-1"):
        add_image(tmp_path / name / "field")
    found = choose_span(folders(tmp_path / "{SPAN}-{VERSION}", span=3))
    assert found.source.uri == str(tmp_path / "3-2")


def test_a_manifest_of_each_span_and_a_placeholder_that_stands_twice(tmp_path: Path) -> None:
    for span in (1, 2):
        (tmp_path / str(span)).mkdir()
        (tmp_path / str(span) / f"images-{span}.csv").write_text("uri,label\na.png,x\n")
    (tmp_path / "3").mkdir()
    (tmp_path / "3" / "images-2.csv").write_text("uri,label\n")
    place = tmp_path / "{SPAN}" / "images-{SPAN}.csv"
    source = {"kind": "manifest", "uri": str(place)}
    found = choose_span(IngestConfig.model_validate({"source": source}))
    assert found.source.uri == str(tmp_path / "2" / "images-2.csv")


def test_the_labels_of_scenes_are_those_of_the_span(tmp_path: Path) -> None:
    (tmp_path / "scenes" / "7").mkdir(parents=True)
    source = {
        "kind": "scenes",
        "uri": str(tmp_path / "scenes" / "{SPAN}"),
        "labels": {"kind": "shapes", "path": str(tmp_path / "labels-{SPAN}.geojson")},
    }
    config = IngestConfig.model_validate({"source": source, "image": {"bands": ["red"]}})
    assert choose_span(config).source.labels.path == str(tmp_path / "labels-7.geojson")


def test_a_new_span_is_other_data_even_with_the_same_images(tmp_path: Path) -> None:
    add_image(tmp_path / "1" / "field")
    first = choose_span(folders(tmp_path / "{SPAN}"))
    add_image(tmp_path / "2" / "field")
    second = choose_span(folders(tmp_path / "{SPAN}"))
    assert first != second
    assert fingerprint_dataset(first.source) == fingerprint_dataset(second.source)


def test_what_is_not_there_is_reported_with_what_is(tmp_path: Path) -> None:
    place = str(tmp_path / "{YYYY}{MM}{DD}")
    with pytest.raises(DataError, match=r"no span at .*: nothing there has a name of this form"):
        find_span(place, None)
    for name in ("20260101", "20260103"):
        (tmp_path / name).mkdir()
    with pytest.raises(DataError, match="there are 2, from 2026-01-01 to 2026-01-03"):
        find_span(place, datetime.date(2026, 1, 2))


def test_patterns_that_say_too_little_or_too_much_are_refused() -> None:
    for place in ("/a/{YYYY}/{MM}", "/a/{SPAN}/{YYYY}-{MM}-{DD}", "/a/{VERSION}"):
        with pytest.raises(ValidationError, match=r"needs either \{SPAN\}, or"):
            folders(place)
    with pytest.raises(ConfigError, match="ingest.span is 4, but /a/b has no pattern"):
        choose_span(folders("/a/b", span=4))


def test_braces_of_other_words_are_part_of_a_name(tmp_path: Path) -> None:
    add_image(tmp_path / "{mine}[1]" / "1" / "field")
    found = choose_span(folders(tmp_path / "{mine}[1]" / "{SPAN}"))
    assert found.source.uri == str(tmp_path / "{mine}[1]" / "1")
