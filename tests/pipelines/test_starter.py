"""From the content of a folder to a valid configuration."""

import csv

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.transform import from_origin

from components.ingest.sources import list_source
from components.raster.errors import DataError
from pipelines.config.tree import load_config
from pipelines.starter.propose import model_name, propose_source, starter_config


def put_images(folder, count, side=96):
    folder.mkdir(parents=True)
    for number in range(count):
        Image.fromarray(np.full((side, side + 8, 3), number, np.uint8)).save(
            folder / f"{number}.png"
        )


def written(folder, tmp_path):
    path = tmp_path / "skymill.yaml"
    path.write_text(starter_config(propose_source(str(folder)), "roofs", str(path)))
    return load_config(str(path))


def test_class_folders_are_seen_with_their_size(tmp_path):
    put_images(tmp_path / "data" / "flat", 6)
    put_images(tmp_path / "data" / "gabled", 7)
    proposal = propose_source(str(tmp_path / "data"))
    assert (proposal.images, proposal.classes, proposal.side_px) == (13, ("flat", "gabled"), 64)
    config = written(tmp_path / "data", tmp_path)
    assert config.ingest.source.kind == "folders"
    assert config.ingest.source.uri == str(tmp_path / "data")
    assert config.ingest.classes == ("flat", "gabled")
    assert (config.ingest.image.height_px, config.ingest.image.width_px) == (64, 64)


def test_a_class_with_a_handful_of_images_is_left_out_and_named(tmp_path):
    put_images(tmp_path / "data" / "flat", 6)
    put_images(tmp_path / "data" / "gabled", 6)
    put_images(tmp_path / "data" / "gabeld", 1)
    proposal = propose_source(str(tmp_path / "data"))
    assert proposal.classes == ("flat", "gabled")
    assert proposal.rare == ("gabeld",)
    assert "gabeld" in str(proposal)


def test_a_manifest_is_preferred_and_its_columns_are_recognised(tmp_path):
    folder = tmp_path / "data"
    put_images(folder / "tiles", 12)
    with open(folder / "manifest.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "class", "scene", "region", "note"])
        for number in range(12):
            label, region = ("no", "north") if number % 2 else ("1", "south")
            row = [f"tiles/{number}.png", label, number // 3, region, f"free text {number * 7}"]
            writer.writerow(row)
    columns = written(folder, tmp_path).ingest.source.columns
    assert (columns.uri, columns.label, columns.group) == ("path", "class", "scene")
    assert "region" in columns.slices


def test_names_that_yaml_would_take_for_something_else_survive(tmp_path):
    for name in ("no", "1", "a, b", "x: y"):
        put_images(tmp_path / "data" / name, 5)
    assert written(tmp_path / "data", tmp_path).ingest.classes == ("1", "a, b", "no", "x: y")


@pytest.mark.parametrize("classes", [0, 1])
def test_too_few_classes_say_what_is_expected(tmp_path, classes):
    (tmp_path / "data").mkdir()
    for number in range(classes):
        put_images(tmp_path / "data" / str(number), 6)
    with pytest.raises(DataError, match="at least 2 such classes"):
        propose_source(str(tmp_path / "data"))


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        propose_source(str(tmp_path / "none"))


@pytest.mark.parametrize(
    ("folder", "name"),
    [("/d/EuroSAT RGB", "eurosat-rgb"), ("/d/2024", "model-2024"), ("/d/a_b-c", "a_b-c")],
)
def test_the_model_is_named_after_the_folder(folder, name):
    assert model_name(folder) == name


def test_bands_without_names_are_asked_for_by_position(tmp_path):
    for number in range(12):
        path = tmp_path / "data" / ("dry", "wet")[number % 2] / f"{number}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        place = from_origin(500_000 + number * 20_000, 5_300_000, 10, 10)
        profile = {"driver": "GTiff", "dtype": "uint16", "crs": "EPSG:32632", "transform": place}
        with rasterio.open(path, "w", height=50, width=60, count=4, **profile) as dataset:
            dataset.write(np.full((4, 50, 60), number + 1, np.uint16))
    config = written(tmp_path / "data", tmp_path)
    assert "bands: [1, 2, 3, 4]" in (tmp_path / "skymill.yaml").read_text()
    assert config.ingest.image.bands == ("#1", "#2", "#3", "#4")


def test_chips_are_seen_with_their_bands_and_split_by_place(tmp_path):
    for number in range(12):
        path = tmp_path / "data" / ("dry", "wet")[number % 2] / f"{number}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        place = from_origin(500_000 + number * 20_000, 5_300_000, 10, 10)
        profile = {"driver": "GTiff", "dtype": "uint16", "crs": "EPSG:32632", "transform": place}
        with rasterio.open(path, "w", height=50, width=60, count=2, **profile) as dataset:
            dataset.write(np.full((2, 50, 60), number + 1, np.uint16))
            dataset.set_band_description(1, "red")
            dataset.set_band_description(2, "nir")
    proposal = propose_source(str(tmp_path / "data"))
    assert str(proposal) == "12 chips of 2 bands in 2 classes (dry, wet)"
    ingest = written(tmp_path / "data", tmp_path).ingest
    assert ingest.source.kind == "chips"
    assert (ingest.image.bands, ingest.image.height_px) == (("red", "nir"), 50)
    # The chips lie along 220 km; a fortieth of that, with one digit.
    assert ingest.split_by.block_m == 5_000
    assert len(list_source(ingest).records) == 12


def put_manifest(folder, columns):
    """Twelve images, and a manifest with a column `path` and others."""
    put_images(folder / "tiles", 12)
    with open(folder / "manifest.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", *columns])
        for number in range(12):
            writer.writerow([f"tiles/{number}.png", *(made(number) for made in columns.values())])


def put_masks(folder, colours=None):
    folder.mkdir(parents=True)
    for number in range(12):
        mask = np.full((96, 104), 7, np.uint8)
        mask[:number] = 2
        pixels = mask if colours is None else np.array(colours, np.uint8)[(mask == 7).astype(int)]
        Image.fromarray(pixels).save(folder / f"{number}.png")


def test_columns_of_other_truths_are_recognised_and_measured(tmp_path):
    several = {"labels": lambda number: "water" if number % 2 else "water|road"}
    put_manifest(tmp_path / "several", several)
    config = written(tmp_path / "several", tmp_path)
    assert (config.ingest.task, config.ingest.classes) == ("multi_label", ("road", "water"))
    assert config.evaluation.thresholds[0].metric == "micro_f1"
    put_manifest(
        tmp_path / "numbers", {"value": lambda number: number / 3, "region": lambda _: "n"}
    )
    config = written(tmp_path / "numbers", tmp_path)
    assert (config.ingest.task, config.ingest.classes) == ("regression", None)
    assert config.ingest.source.columns.number == "value"
    assert config.evaluation.slices == (("region",),)
    assert "12 images with a number each" in str(propose_source(str(tmp_path / "numbers")))


def test_a_class_is_preferred_to_a_number_beside_it(tmp_path):
    columns = {"label": lambda number: "ab"[number % 2], "value": lambda number: number}
    put_manifest(tmp_path / "data", columns)
    assert written(tmp_path / "data", tmp_path).ingest.task == "single_label"


def test_masks_are_found_by_a_column_or_a_folder_and_get_a_legend_to_name(tmp_path):
    put_manifest(tmp_path / "listed", {"mask": lambda number: f"truth/{number}.png"})
    put_masks(tmp_path / "listed" / "truth")
    config = written(tmp_path / "listed", tmp_path)
    assert config.ingest.task == "segmentation"
    assert config.ingest.source.legend.values == {2: "class_2", 7: "class_7"}
    put_images(tmp_path / "paired" / "images", 12)
    put_masks(tmp_path / "paired" / "masks", [(60, 16, 152), (0, 255, 0)])
    config = written(tmp_path / "paired", tmp_path)
    assert (config.ingest.source.kind, config.ingest.classes) == ("masked", None)
    assert config.ingest.source.masks == str(tmp_path / "paired" / "masks")
    assert set(config.ingest.source.legend.colours) == {"#3C1098", "#00FF00"}
    assert len(list_source(config.ingest).records) == 12
    assert "names in ingest.source.legend" in str(propose_source(str(tmp_path / "paired")))


def test_masks_that_are_no_classes_are_refused_with_what_to_do(tmp_path):
    put_images(tmp_path / "data" / "images", 6)
    (tmp_path / "data" / "masks").mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (20, 20)).astype(np.uint8)
    Image.fromarray(noise).save(tmp_path / "data" / "masks" / "0.png")
    with pytest.raises(DataError, match="Write the source by hand, with a legend"):
        propose_source(str(tmp_path / "data"))


@pytest.mark.parametrize(
    ("counts", "floor", "guessing"),
    [
        ((10, 10), 0.75, "flat reaches 0.50"),
        ((18, 6), 0.87, "flat reaches 0.75"),
        ((6, 6, 6, 6, 6), 0.4, "flat reaches 0.20"),
    ],
)
def test_the_first_threshold_is_above_guessing_and_can_be_reached(
    tmp_path, counts, floor, guessing
):
    for number, count in enumerate(counts):
        put_images(tmp_path / "data" / ("flat", "gabled", "hip", "saddle", "shed")[number], count)
    text = starter_config(propose_source(str(tmp_path / "data")), "roofs", str(tmp_path / "a.yaml"))
    assert f"at_least: {floor}}}  # always answering {guessing}" in text
