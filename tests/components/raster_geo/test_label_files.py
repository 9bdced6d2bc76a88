"""Layers, encodings and class names of label files."""

import json
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pytest
import shapely

from components.ingest.rasters.scenes.config import ScenesSource
from components.ingest.rasters.scenes.plan import read_area
from components.raster.errors import ConfigError, DataError
from components.raster.labels.boxes import BoxFile, read_boxes
from components.raster.labels.vectors import VectorLabels, read_labels

NFC, NFD = "Forêt", unicodedata.normalize("NFD", "Forêt")


def write(path: Path, classes: list[str], layer: str | None = None, **options: Any) -> Path:
    shapes = np.array([shapely.to_wkb(shapely.box(0, 0, 1, 1))] * len(classes), dtype=object)
    names = np.array(classes, dtype=object)
    options = {"geometry_type": "Polygon", "crs": "EPSG:4326", "layer": layer, **options}
    pyogrio.raw.write(str(path), shapes, [names], ["class"], **options)
    return path


def classes_of(path: Path, **options: Any) -> list[str]:
    labels = VectorLabels.model_validate({"path": str(path), "class_field": "class", **options})
    return read_labels(labels).classes.tolist()  # type: ignore[no-any-return]


def test_of_several_layers_one_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "labels.gpkg", ["a"], "first")
    write(path, ["b"], "second", append=False)
    with pytest.raises(ConfigError, match="has the layers first, second. Name the one"):
        classes_of(path)
    with pytest.raises(ConfigError, match="no layer 'third'; it has first, second"):
        classes_of(path, layer="third")
    assert classes_of(path, layer="second") == ["b"]


def test_of_an_area_with_several_layers_one_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "area.gpkg", ["a"], "first")
    write(path, ["b", "c"], "second")
    source = {"uri": "scenes", "area": str(path)}
    with pytest.raises(ConfigError, match="area_layer"):
        read_area(ScenesSource.model_validate(source))
    found = read_area(ScenesSource.model_validate({**source, "area_layer": "second"}))
    assert found is not None
    assert found[0].equals(shapely.box(0, 0, 1, 1))


def test_a_table_without_shapes_is_no_layer_to_choose_from(tmp_path: Path) -> None:
    """QGIS keeps the styles of a GeoPackage in one."""
    path = write(tmp_path / "labels.gpkg", ["a"], "parcels")
    pyogrio.raw.write(
        str(path),
        None,
        [np.array(["red"], dtype=object)],
        ["style"],
        layer="a_styles",
        geometry_type=None,
    )
    assert set(pyogrio.list_layers(path)[:, 0]) == {"parcels", "a_styles"}
    assert classes_of(path) == ["a"]


@pytest.mark.parametrize("encoding", ["utf-8", "ISO-8859-1"])
def test_a_shapefile_that_says_its_encoding_is_read_in_it(tmp_path: Path, encoding: str) -> None:
    path = write(tmp_path / "a.shp", ["Forêt"], encoding=encoding)
    assert path.with_suffix(".cpg").exists()
    assert classes_of(path) == ["Forêt"]


def test_a_shapefile_that_says_nothing_is_read_as_utf_8_or_refused(tmp_path: Path) -> None:
    for encoding in ("utf-8", "cp1251"):
        path = write(tmp_path / f"{encoding}.shp", ["Лес"], encoding=encoding)
        path.with_suffix(".cpg").unlink()
    assert classes_of(tmp_path / "utf-8.shp") == ["Лес"]
    with pytest.raises(DataError, match="not in utf-8; set encoding"):
        classes_of(path)
    assert classes_of(path, encoding="cp1251") == ["Лес"]
    path.with_suffix(".cpg").write_text("nonsense")
    with pytest.raises(DataError, match="set encoding"):
        classes_of(path)
    path.with_suffix(".cpg").write_text("1251")
    assert classes_of(path) == ["Лес"]
    assert classes_of(write(tmp_path / "ascii.shp", ["forest"])) == ["forest"]


def test_geojson_in_another_encoding_needs_to_say_so(tmp_path: Path) -> None:
    path = write(tmp_path / "a.geojson", ["Forêt"])
    path.write_bytes(path.read_text(encoding="utf-8").encode("latin-1"))
    with pytest.raises(DataError, match="set encoding"):
        classes_of(path)
    assert classes_of(path, encoding="latin-1") == ["Forêt"]


def test_both_forms_of_a_class_are_one_class_of_shapes(tmp_path: Path) -> None:
    assert classes_of(write(tmp_path / "a.geojson", [NFC, NFD])) == [NFC, NFC]


def coco(name: str) -> str:
    box = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 4, 4]}
    tree = {
        "images": [{"id": 1, "file_name": "a.png"}],
        "annotations": [box],
        "categories": [{"id": 1, "name": name}],
    }
    return json.dumps(tree, ensure_ascii=False)


def table(name: str) -> str:
    return f"image_path,xmin,ymin,xmax,ymax,label\na.png,0,0,4,4,{name}\n"


def voc(name: str) -> str:
    edges = "<xmin>0</xmin><ymin>0</ymin><xmax>4</xmax><ymax>4</ymax>"
    return (
        f"<annotation><filename>a.png</filename><object><name>{name}</name>"
        f"<bndbox>{edges}</bndbox></object></annotation>"
    )


@pytest.mark.parametrize(("suffix", "text"), [(".json", coco), (".csv", table), (".xml", voc)])
def test_both_forms_of_a_class_are_one_class_of_boxes(
    tmp_path: Path, suffix: str, text: Any
) -> None:
    path = tmp_path / f"boxes{suffix}"
    path.write_text(text(NFD), encoding="utf-8")
    assert read_boxes(BoxFile(path=str(path))).class_names == (NFC,)


@pytest.mark.parametrize(("suffix", "text"), [(".json", coco), (".csv", table)])
def test_boxes_in_another_encoding_need_to_say_so(tmp_path: Path, suffix: str, text: Any) -> None:
    path = tmp_path / f"boxes{suffix}"
    path.write_bytes(text(NFC).encode("utf-16"))
    assert read_boxes(BoxFile(path=str(path))).class_names == (NFC,)
    path.write_bytes(text(NFC).encode("cp1252"))
    with pytest.raises(DataError, match="set encoding"):
        read_boxes(BoxFile(path=str(path)))
    assert read_boxes(BoxFile(path=str(path), encoding="cp1252")).class_names == (NFC,)
