"""Scenes and the labels beside them: what is proposed is accepted, looked at and split."""

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
from click.testing import CliRunner
from PIL import Image
from rasterio.transform import from_origin

from components.ingest.look import look
from components.ingest.sources import survey
from components.raster.errors import DataError
from pipelines.cli.init import command
from pipelines.config.tree import PipelineConfig, load_config
from pipelines.definition.learnable import require_learnable
from pipelines.starter.propose import propose_source

SIDE_PX, GSD_M, LEFT, TOP = 640, 10, 500_000, 5_300_000


def put_raster(path: Path, pixels: np.ndarray, east: int = 0, names: tuple[str, ...] = ()) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    bands, height, width = pixels.shape
    place = from_origin(LEFT + east, TOP, GSD_M, GSD_M)
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=height,
        width=width,
        count=bands,
        dtype=pixels.dtype,
        crs="EPSG:32632",
        transform=place,
    ) as dataset:
        dataset.write(pixels)
        dataset.descriptions = names or (None,) * bands
    return path


def put_scene(path: Path, east: int = 0) -> Path:
    pixels = np.random.default_rng(east).integers(1, 3000, (2, SIDE_PX, SIDE_PX))
    return put_raster(path, pixels.astype(np.uint16), east, ("red", "nir"))


def halves() -> np.ndarray:
    """Classes 1 and 2, in stripes of 40 pixels."""
    stripes = np.arange(SIDE_PX) // 40 % 2 + 1
    return np.tile(stripes, (SIDE_PX, 1))[np.newaxis].astype(np.uint8)


def put_shapes(path: Path, kinds: list[str], points: bool = False) -> None:
    features = []
    for at, kind in enumerate(kinds):
        west = LEFT + 1_000 * (at % 6)
        box = shapely.box(west, TOP - 6_400, west + 900, TOP)
        shape = box.centroid if points else box
        features.append(
            {
                "type": "Feature",
                "properties": {"id": f"no {at}", "Species": kind},
                "geometry": shapely.geometry.mapping(shape),
            }
        )
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32632"}}
    path.write_text(json.dumps({"type": "FeatureCollection", "crs": crs, "features": features}))


def put_coco(path: Path, names: list[str]) -> None:
    images = [{"id": at, "file_name": name} for at, name in enumerate(names)]
    boxes = [
        {"id": 100 * it["id"] + x, "image_id": it["id"], "category_id": 1, "bbox": [x, x, 20, 20]}
        for it in images
        for x in range(0, 600, 60)
    ]
    document = {"images": images, "annotations": boxes}
    path.write_text(json.dumps({**document, "categories": [{"id": 1, "name": "tree"}]}))


def proposed(folder: Path, tmp_path: Path) -> tuple[PipelineConfig, str]:
    """The configuration that `init` writes, and its words; `config check`, `look`, `splits` run."""
    path = tmp_path / "made" / "skymill.yaml"
    path.parent.mkdir()
    done = CliRunner().invoke(command, [str(folder), "-o", str(path)], catch_exceptions=False)
    config = load_config(str(path))
    require_learnable(config)
    assert config.ingest.source.kind == "scenes"
    found = survey(config.ingest)
    assert set(found.report.counts) == {"train", "eval", "test"}
    assert found.rejects == ()
    look(config.ingest, count=4)
    return config, done.output


def test_shapes_on_a_map(tmp_path: Path) -> None:
    put_scene(tmp_path / "data" / "scene.tif")
    put_shapes(tmp_path / "data" / "fields.geojson", ["wheat", "maize", "wheat", "maize", "rye"])
    config, message = proposed(tmp_path / "data", tmp_path)
    source = config.ingest.source
    assert (source.uri, source.labels.kind) == (str(tmp_path / "data" / "scene.tif"), "shapes")
    assert (source.labels.class_field, source.target.to) == ("Species", "mask")
    assert (source.tiling.size_px, config.ingest.image.height_px) == (64, 64)
    assert config.ingest.image.bands == ("red", "nir")
    assert "1 scenes of 2 bands" in message
    assert "3 classes (maize, rye, wheat)" in message


def test_shapes_of_one_class_get_a_background_and_points_become_boxes(tmp_path: Path) -> None:
    put_scene(tmp_path / "one" / "scene.tif")
    put_shapes(tmp_path / "one" / "houses.geojson", ["house", "house"])
    assert propose_source(str(tmp_path / "one")).classes == ("house", "background")
    put_scene(tmp_path / "trees" / "scene.tif")
    put_shapes(tmp_path / "trees" / "trees.geojson", ["tree"] * 6, points=True)
    config, _ = proposed(tmp_path / "trees", tmp_path)
    assert config.ingest.source.target.to == "boxes"


def test_a_raster_of_classes(tmp_path: Path) -> None:
    put_scene(tmp_path / "data" / "scene.tif")
    put_raster(tmp_path / "data" / "labels.tif", halves())
    config, message = proposed(tmp_path / "data", tmp_path)
    labels = config.ingest.source.labels
    assert (labels.kind, labels.path) == ("class_raster", str(tmp_path / "data" / "labels.tif"))
    assert dict(labels.legend.values) == {1: "class_1", 2: "class_2"}
    assert "give the classes their names in ingest.source.labels.legend" in message


def test_a_mask_for_each_scene(tmp_path: Path) -> None:
    for at in range(3):
        put_scene(tmp_path / "data" / "images" / f"{at}.tif", 10_000 * at)
        put_raster(tmp_path / "data" / "masks" / f"{at}.tif", halves(), 10_000 * at)
    config, _ = proposed(tmp_path / "data", tmp_path)
    source = config.ingest.source
    assert (source.labels.kind, source.labels.folder) == ("masks", str(tmp_path / "data" / "masks"))
    assert source.uri == str(tmp_path / "data" / "images")


def test_masks_in_folders_as_their_scenes(tmp_path: Path) -> None:
    for at, year in enumerate(("2024", "2025")):
        put_scene(tmp_path / "data" / "images" / year / "ortho.tif", 10_000 * at)
        put_raster(tmp_path / "data" / "masks" / year / "ortho.tif", halves(), 10_000 * at)
    config, message = proposed(tmp_path / "data", tmp_path)
    labels = config.ingest.source.labels
    assert (labels.kind, labels.folder) == ("masks", str(tmp_path / "data" / "masks"))
    assert "2 scenes of 2 bands" in message


def test_files_of_a_band_each_are_no_scenes_of_their_own(tmp_path: Path) -> None:
    band = np.ones((1, SIDE_PX, SIDE_PX), np.uint16)
    for name in ("2024/B02.tif", "2024/B03.tif", "2025/B02.tif", "2025/B03.tif"):
        put_raster(tmp_path / name, band)
    put_shapes(tmp_path / "fields.geojson", ["wheat", "maize"])
    with pytest.raises(DataError, match="4 files of one band each, .* layout: folder"):
        propose_source(str(tmp_path))


def test_boxes_in_pixels_of_scenes_and_of_large_photographs(tmp_path: Path) -> None:
    names = [str(put_scene(tmp_path / "data" / f"{at}.tif", 10_000 * at).name) for at in range(2)]
    put_coco(tmp_path / "data" / "annotations.json", names)
    config, _ = proposed(tmp_path / "data", tmp_path)
    assert (config.ingest.source.labels.kind, config.ingest.source.target.to) == ("boxes", "boxes")
    photos = tmp_path / "photos"
    photos.mkdir()
    for at in range(3):
        pixels = np.random.default_rng(at).integers(0, 255, (1024, 1100, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(photos / f"{at}.jpg", quality=50)
    put_coco(photos / "annotations.json", [f"{at}.jpg" for at in range(3)])
    (tmp_path / "made").rename(tmp_path / "before")
    config, _ = proposed(photos, tmp_path)
    source = config.ingest.source
    assert (source.without_map, source.suffixes) == (True, (".jpg",))
    assert config.ingest.split_by.by == "tile"


def test_what_is_missing_or_ambiguous_is_said(tmp_path: Path) -> None:
    put_scene(tmp_path / "scene.tif")
    with pytest.raises(DataError, match=r"1 scenes .*640 x 640 pixels\) and no labels beside"):
        propose_source(str(tmp_path))
    put_shapes(tmp_path / "a.geojson", ["x"])
    put_shapes(tmp_path / "b.geojson", ["y"])
    with pytest.raises(DataError, match=r"2 files could be the labels \(shapes\): a.geojson, b"):
        propose_source(str(tmp_path))


def test_a_raster_of_classes_among_several_scenes_is_reported(tmp_path: Path) -> None:
    put_scene(tmp_path / "1.tif")
    put_scene(tmp_path / "2.tif", 10_000)
    put_raster(tmp_path / "labels.tif", halves())
    with pytest.raises(DataError, match="move the scenes into a folder of their own"):
        propose_source(str(tmp_path))


def test_large_chips_in_class_folders_stay_chips(tmp_path: Path) -> None:
    for at in range(10):
        put_scene(tmp_path / ("a", "b")[at % 2] / f"{at}.tif", 10_000 * at)
    assert propose_source(str(tmp_path)).source.kind == "chips"
