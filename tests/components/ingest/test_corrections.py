"""Corrections of labels: a table over a source's own truth."""

import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from components.ingest.config import IngestConfig
from components.ingest.fingerprint import fingerprint_dataset
from components.ingest.look import look_at_keys
from components.ingest.sources import list_source
from components.raster.errors import DataError


@pytest.fixture
def folders(tmp_path):
    """Class folders with two images each, and a writer of their corrections."""
    for name, colour in (("forest", (0, 90, 0)), ("water", (0, 0, 200))):
        (tmp_path / "images" / name).mkdir(parents=True)
        for number in range(2):
            image = Image.new("RGB", (16, 16), (colour[0] + number, *colour[1:]))
            image.save(tmp_path / "images" / name / f"{number}.png")

    def write(text):
        (tmp_path / "right.csv").write_text(text)
        source = {"kind": "folders", "uri": str(tmp_path / "images")}
        source["corrections"] = str(tmp_path / "right.csv") if text else None
        return IngestConfig.model_validate({"source": source})

    return write


def labels_of(config):
    return {record.key: record.label for record in list_source(config).records}


def test_a_corrected_label_replaces_that_of_the_source_and_changes_the_fingerprint(folders):
    plain = folders("")
    before = fingerprint_dataset(plain.source)
    assert labels_of(plain)["forest/1.png"] == "forest"
    config = folders("key,label,given\nforest/1.png,water,forest\n")
    assert labels_of(config) == {
        "forest/0.png": "forest",
        "forest/1.png": "water",
        "water/0.png": "water",
        "water/1.png": "water",
    }
    after = fingerprint_dataset(config.source)
    assert after != before
    assert fingerprint_dataset(folders("key,label\nforest/1.png,shore\n").source) != after


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("key,label\nforest/9.png,water\n", "1 keys are of no image .* forest/9.png"),
        ("key,class\nforest/1.png,water\n", "row 1 has no label"),
        ("key,label\nforest/1.png,\n", "forest/1.png has the label '', not a class"),
        ("key,label\nforest/1.png,a\nforest/1.png,b\n", "row 2 corrects forest/1.png a second"),
    ],
)
def test_a_table_that_cannot_be_meant_is_an_error(folders, text, message):
    with pytest.raises(DataError, match=message):
        list_source(folders(text))


def test_several_classes_and_numbers_are_corrected_in_their_own_form(tmp_path):
    rows = "uri,tags,height\na.png,forest|water,1.5\nb.png,water,2\n"
    (tmp_path / "images.csv").write_text(rows)
    table = tmp_path / "right.csv"
    table.write_text("key,label\na.png,water | road\n")
    source = {"kind": "manifest", "uri": str(tmp_path / "images.csv"), "corrections": str(table)}
    columns = {"uri": "uri", "label": None, "labels": "tags"}
    config = IngestConfig.model_validate({"source": {**source, "columns": columns}})
    assert [it.labels for it in list_source(config).records] == [("road", "water"), ("water",)]
    columns = {"uri": "uri", "label": None, "number": "height"}
    config = IngestConfig.model_validate({"source": {**source, "columns": columns}})
    with pytest.raises(DataError, match=r"a.png has the label 'water \| road', not a number"):
        list_source(config)


def test_cells_of_numbers_name_the_classes_that_a_manifest_would(folders, tmp_path):
    config = folders("")
    table = tmp_path / "right.parquet"
    rows = {"key": ["forest/0.png", "forest/1.png"], "label": [0.0, 7.0]}
    pq.write_table(pa.table(rows), table)
    source = config.source.model_copy(update={"corrections": str(table)})
    found = labels_of(config.model_copy(update={"source": source}))
    assert (found["forest/0.png"], found["forest/1.png"]) == ("0", "7")
    pq.write_table(pa.table({**rows, "label": [float("nan"), 7.0]}), table)
    with pytest.raises(DataError, match="forest/0.png has the label nan, not a class"):
        labels_of(config.model_copy(update={"source": source}))


def test_a_name_of_another_encoding_has_the_key_of_predictions(folders, tmp_path):
    folder = os.fsencode(tmp_path / "images" / "forest")
    os.rename(folder + b"/1.png", folder + b"/Stra\xdfe.png")
    config = folders("key,label\nforest/Stra\\xdfe.png,water\n")
    assert sorted(labels_of(config).values()) == ["forest", "water", "water", "water"]
    sheet = look_at_keys(config, {"forest/Stra\\xdfe.png": "one"}, side_px=64)
    assert sheet.getpixel((20, 20)) == (1, 90, 0)


def test_chosen_examples_are_drawn_in_their_order_whatever_is_not_there(folders):
    config = folders("")
    texts = {"water/1.png": "water > forest 0.90", "forest/0.png": "one", "gone.png": "two"}
    sheet = look_at_keys(config, texts, side_px=64)
    assert sheet.getpixel((20, 20)) == (1, 0, 200)
    assert sheet.getpixel((6 + 70 + 20, 20)) == (0, 90, 0)
    with pytest.raises(DataError, match="no example gone.png"):
        look_at_keys(config, {"gone.png": ""})
