"""Photographs with masks: pairs of folders, and manifests that name them."""

import io
import json

import numpy as np
import pytest
import rasterio
import tensorflow as tf
from PIL import Image
from pydantic import ValidationError

from components.ingest.config import IngestConfig
from components.ingest.fingerprint import fingerprint_dataset
from components.ingest.listing.config import ManifestColumns
from components.ingest.records.reject import Reject
from components.ingest.sources import family_of, list_source

COLOURS = {"#0000FF": "water", "#00FF00": "forest", "#808080": "unlabelled"}
BLUE, GREEN, GRAY, WHITE = (0, 0, 255), (0, 255, 0), (128, 128, 128), (255, 255, 255)


@pytest.fixture
def folders(tmp_path):
    """Images of 12 x 20 pixels in two folders, and masks of the left half water."""
    for name in ("a/1", "a/2", "b/1"):
        write(tmp_path / "images" / f"{name}.jpg", np.full((12, 20, 3), 90))
        write(tmp_path / "masks" / f"{name}.png", mask_colours())
    return tmp_path


def mask_colours():
    pixels = np.zeros((12, 20, 3))
    pixels[:, :10], pixels[:, 10:], pixels[0] = BLUE, GREEN, GRAY
    return pixels


def write(path, pixels, palette=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.asarray(pixels, np.uint8))
    (image.quantize(8) if palette else image).save(path)


def config(folder, **source):
    legend = {"colours": COLOURS, "ignore": ["unlabelled"]}
    tree = {"kind": "masked", "uri": str(folder / "images"), "masks": str(folder / "masks")}
    return IngestConfig.model_validate({"source": {**tree, "legend": legend, **source}})


def outcomes(config):
    family, listing = family_of(config.source), list_source(config)
    convert = family.converter(config, listing.classes)
    found = [one for line in family.lines(listing, 1) for one in convert(line)]
    return listing, {one.key if isinstance(one, Reject) else one.record.key: one for one in found}


def mask_of(converted):
    feature = tf.train.Example.FromString(converted.example).features.feature
    (png,) = feature["mask/encoded"].bytes_list.value
    return np.asarray(Image.open(io.BytesIO(png)))


def test_masks_of_colours_become_class_indices(folders):
    listing, found = outcomes(config(folders))
    assert config(folders).task == "segmentation"
    assert listing.classes == ("forest", "water")
    wanted = np.zeros((12, 20), np.uint8)
    wanted[:, :10], wanted[0] = 1, 255
    assert len(found) == 3
    for item in found.values():
        np.testing.assert_array_equal(mask_of(item), wanted)
        assert item.names == ("forest", "water")


def test_palettes_are_colours_or_values_as_the_legend_says(folders):
    write(folders / "masks/a/1.png", mask_colours(), palette=True)
    palette = Image.open(folders / "masks/a/1.png")
    assert palette.mode == "P"
    _, found = outcomes(config(folders))
    np.testing.assert_array_equal(mask_of(found["a/1.jpg"]), mask_of(found["a/2.jpg"]))
    values = {int(np.asarray(palette)[5, column]): name for column, name in ((0, "x"), (19, "y"))}
    legend = {"values": values}
    _, found = outcomes(config(folders, legend=legend, undeclared="ignore"))
    assert mask_of(found["a/1.jpg"])[5].tolist() == [0] * 10 + [1] * 10
    assert "the mask has colours" in found["a/2.jpg"].detail


def test_what_has_no_usable_mask_is_a_reject_that_says_why(folders):
    (folders / "masks/a/1.png").unlink()
    write(folders / "masks/a/2.png", np.zeros((20, 12, 3)))
    white = mask_colours()
    white[3:5] = WHITE
    write(folders / "masks/b/1.png", white)
    write(folders / "images/c.jpg", np.full((12, 20, 3), 1))
    (folders / "masks/c.png").write_bytes(b"no image")
    listing, found = outcomes(config(folders))
    (missing,) = listing.rejects
    assert (missing.key, missing.reason) == ("a/1.jpg", "no_mask")
    assert found["a/2.jpg"].detail == "mask of 20 x 12, image 12 x 20 px"
    assert found["b/1.jpg"].reason == "unknown_class"
    assert "#FFFFFF (40 pixels)" in found["b/1.jpg"].detail
    assert (found["c.jpg"].reason, found["c.jpg"].detail[:8]) == ("unreadable", "the mask")
    _, found = outcomes(config(folders, undeclared="ignore"))
    assert (mask_of(found["b/1.jpg"])[3:5] == 255).all()


def test_a_group_stays_together(folders):
    listing, _ = outcomes(config(folders, group_pattern="^(.)/"))
    assert {record.key: record.group for record in listing.records} == {
        "a/1.jpg": "a",
        "a/2.jpg": "a",
        "b/1.jpg": "b",
    }


def test_a_changed_mask_is_other_data(folders):
    source = config(folders).source
    before = fingerprint_dataset(source)
    assert fingerprint_dataset(source) == before
    write(folders / "masks/a/1.png", np.zeros((12, 20, 3)))
    assert fingerprint_dataset(source) != before


def test_a_manifest_names_masks(folders):
    rows = [{"uri": f"images/{name}.jpg", "mask": f"masks/{name}.png"} for name in ("a/1", "b/1")]
    rows.append({"uri": "images/a/2.jpg", "mask": None})
    (folders / "images.jsonl").write_text("\n".join(map(json.dumps, rows)))
    tree = {
        "kind": "manifest",
        "uri": str(folders / "images.jsonl"),
        "columns": {"mask": "mask"},
        "legend": {"colours": COLOURS, "ignore": ["unlabelled"]},
    }
    listing, found = outcomes(IngestConfig.model_validate({"source": tree}))
    assert set(found) == {"images/a/1.jpg", "images/b/1.jpg"}
    assert [reject.reason for reject in listing.rejects] == ["no_mask"]
    assert (mask_of(found["images/b/1.jpg"])[1:, :10] == 1).all()
    with pytest.raises(ValidationError, match="columns.mask and legend go together"):
        IngestConfig.model_validate({"source": {**tree, "legend": None}})


@pytest.mark.parametrize(
    ("columns", "task"),
    [
        ({}, "single_label"),
        ({"labels": "tags"}, "multi_label"),
        ({"number": "height_m"}, "regression"),
        ({"mask": "mask"}, "segmentation"),
    ],
)
def test_the_columns_say_which_task_it_is(columns, task):
    assert ManifestColumns(**columns).task == task


def test_two_truths_are_refused():
    with pytest.raises(ValidationError, match="each exclude any other truth"):
        ManifestColumns(mask="mask", number="height_m")
    assert not ManifestColumns(label=None).has_truth


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize(
    ("kind", "reason", "message"),
    [("float32", "mask_differs", "floating-point"), ("int64", "unreadable", "not an image")],
)
def test_a_mask_of_other_numbers_is_reported_with_the_remedy(folders, kind, reason, message):
    (folders / "masks/a/1.png").unlink()
    with rasterio.open(
        folders / "masks/a/1.tif", "w", driver="GTiff", width=20, height=12, count=1, dtype=kind
    ) as file:
        file.write(np.ones((1, 12, 20), kind))
    _, found = outcomes(config(folders, legend={"values": {1: "forest"}}))
    assert found["a/1.jpg"].reason == reason
    assert message in found["a/1.jpg"].detail
    assert "gdal_translate -ot Byte" in found["a/1.jpg"].detail
