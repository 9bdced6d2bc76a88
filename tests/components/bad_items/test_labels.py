"""Labels, drawn areas and catalogues with one broken item among good ones."""

import json
import os
from pathlib import Path

import pytest
import shapely
from PIL import Image

from components.ingest.config import IngestConfig
from components.ingest.listing.manifest import list_manifest
from components.ingest.sources import survey
from components.raster.errors import ConfigError, DataError
from components.raster.labels.boxes import BoxFile, read_boxes
from components.raster.labels.vectors import VectorLabels, read_labels
from components.raster.reasons import Reason
from components.raster.scene.stac import find_stac_scenes
from components.raster.scene.stac_query import StacQuery
from tests.components.bad_items.conftest import (
    LOCAL,
    feature,
    polygon_wkb,
    run,
    square,
    tin_wkb,
    tree,
    write_features,
    write_geopackage,
)

LEFT, RIGHT = square(500_000, 5_300_000), square(500_320, 5_300_000)
TO_CLASS = {"target": {"to": "class"}}
NAN, INFINITE = float("nan"), float("inf")
#: Rings of a third label, and the reason of its reject.
BROKEN = {
    "not closed": (LEFT[:4], "broken_geometry"),
    "two points": (LEFT[:2], "broken_geometry"),
    "one point": (LEFT[:1], "broken_geometry"),
    "not a number": ([LEFT[0], [NAN, NAN], *LEFT[2:]], "broken_geometry"),
    "infinite": ([LEFT[0], [INFINITE, 0], *LEFT[2:]], "broken_geometry"),
    "beyond all measure": ([LEFT[0], [1e308, 1], [-1e308, 1e308], LEFT[0]], "broken_geometry"),
    "no ground": ([LEFT[0], LEFT[1], LEFT[0], LEFT[1], LEFT[0]], "self_crossing"),
}


def classes_of(found):
    return {key: tile.truth.label for key, tile in found.tiles.items()}


def both(left="a", right="b"):
    return {"good@0,0,32x32": left, "good@0,32,32x32": right}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_ring_is_one_reject_that_names_file_and_feature(two_tiles, tmp_path, kind):
    ring, reason = BROKEN[kind]
    wkb = [polygon_wkb(LEFT), polygon_wkb(ring), polygon_wkb(RIGHT)]
    path = write_geopackage(tmp_path / "labels.gpkg", wkb, ["a", "c", "b"])
    labels = {"kind": "shapes", "path": path, "class_field": "crop"}
    found = run(tree(two_tiles, labels=labels, **TO_CLASS))
    assert classes_of(found) == both()
    reject = found.only_reject()
    assert (reject.key, reject.uri, reject.reason.value) == ("labels.gpkg#2", path, reason)
    assert reject.detail


def test_a_ring_of_a_text_file_is_checked_as_well(two_tiles, tmp_path):
    features = [feature(LEFT, crop="a"), feature(LEFT[:4], crop="c"), feature(RIGHT, crop="b")]
    path = write_features(tmp_path / "labels.geojson", [*features, feature(None, crop="d")])
    labels = {"kind": "shapes", "path": path, "class_field": "crop"}
    found = run(tree(two_tiles, labels=labels, **TO_CLASS))
    assert classes_of(found) == both()
    reasons = {"labels.geojson#1": "broken_geometry", "labels.geojson#3": "empty_geometry"}
    assert found.reasons() == reasons


def test_surfaces_of_triangles_and_collections_are_no_labels(tmp_path):
    collection = shapely.to_wkb(shapely.GeometryCollection([shapely.box(0, 0, 1, 1)]))
    wkb = [polygon_wkb(LEFT), tin_wkb([*LEFT[:3], LEFT[0]]), collection]
    path = write_geopackage(tmp_path / "labels.gpkg", wkb, ["a", "b", "c"])
    found = read_labels(VectorLabels(path=path, class_field="crop"))
    assert found.classes.tolist() == ["a"]
    assert [(it.number, it.reason.value) for it in found.rejects] == [
        (2, "unsupported_geometry"),
        (3, "unsupported_geometry"),
    ]
    assert found.rejects[0].detail == "Unknown WKB type 16."


def test_labels_that_have_no_place_in_the_scene_s_system_are_rejects(two_tiles, tmp_path):
    """A vertex on the other side of the earth has none in a UTM zone."""
    ring = [[9.0, 47.0], [9.1, 47.0], [99.0, 0.0], [9.0, 47.0]]
    whole = [[9, 47.8], [9.01, 47.8], [9.01, 47.9], [9, 47.9], [9, 47.8]]
    path = write_features(
        tmp_path / "labels.geojson", [feature(whole, crop="a"), feature(ring, crop="b")], epsg=None
    )
    labels = {"kind": "shapes", "path": path, "class_field": "crop"}
    found = run(tree(two_tiles, labels=labels, **TO_CLASS))
    assert classes_of(found) == both("a", "a")
    assert found.reasons() == {"labels.geojson#1": "not_projectable"}
    assert found.only_reject().detail.endswith("has none in EPSG:32632.")


def test_a_file_without_one_usable_label_is_refused_by_name(two_tiles, tmp_path):
    path = write_features(tmp_path / "labels.geojson", [feature(LEFT[:4], crop="a")])
    labels = {"kind": "shapes", "path": path, "class_field": "crop"}
    with pytest.raises(DataError, match=r"labels\.geojson holds no usable label: broken_geometry"):
        run(tree(two_tiles, labels=labels, **TO_CLASS))


def test_labels_in_a_system_that_leads_nowhere_are_refused_by_name(two_tiles, tmp_path):
    wkb = [polygon_wkb(LEFT)]
    path = write_geopackage(tmp_path / "labels.gpkg", wkb, ["a"], crs="IAU_2015:49910")
    labels = {"kind": "shapes", "path": path, "class_field": "crop"}
    with pytest.raises(
        DataError,
        match=r"its labels in .*labels\.gpkg: Mars .* cannot be transformed to .*ogr2ogr -a_srs",
    ):
        run(tree(two_tiles, labels=labels, **TO_CLASS))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("deep.geojson", '{"type":"FeatureCollection","features":' + "[" * 100_000),
        ("cut.geojson", '{"type":"FeatureCollection","features":[{"type":'),
        ("text.gpkg", "no database"),
        ("text.shp", "no shapes"),
        ("text.fgb", "no features"),
        ("empty.geojson", ""),
    ],
)
def test_a_file_that_is_none_is_refused_by_name(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=rf"{name} cannot be read: .{{1,210}}$"):
        read_labels(VectorLabels(path=str(tmp_path / name)))


def test_a_layer_that_is_not_there_is_reported_with_those_that_are(tmp_path):
    path = write_geopackage(tmp_path / "labels.gpkg", [polygon_wkb(LEFT)], ["a"], layer="fields")
    with pytest.raises(ConfigError, match=r"labels\.gpkg has no layer 'field'; it has fields"):
        read_labels(VectorLabels(path=path, layer="field"))


def test_a_broken_polygon_of_the_area_of_interest_is_one_reject(two_tiles, tmp_path):
    area = write_features(tmp_path / "area.geojson", [feature(LEFT), feature(RIGHT[:3])])
    found = run(tree(two_tiles, area=area))
    assert list(found.tiles) == ["good@0,0,32x32"]
    assert found.reasons() == {"area.geojson#1": "broken_geometry"}


def test_a_broken_polygon_of_drawn_splits_is_one_reject(two_tiles, tmp_path):
    wide = [square(499_900, 5_300_100, 1000), LEFT[:4], square(0, 0, 10)]
    names = ("train", "eval", "test")
    drawn = [feature(ring, split=name) for ring, name in zip(wide, names, strict=True)]
    path = write_features(tmp_path / "drawn.geojson", drawn)
    by_area = {"by": "area", "path": path}
    found = run(tree(two_tiles, split_by=by_area))
    assert [tile.record.split for tile in found.tiles.values()] == ["train", "train"]
    assert found.reasons() == {"drawn.geojson#1": "broken_geometry"}
    message = survey(IngestConfig.model_validate(tree(two_tiles, split_by=by_area)))
    assert [reject.key for reject in message.rejects] == ["drawn.geojson#1"]


def test_drawn_splits_that_lead_nowhere_are_refused_by_name(two_tiles, tmp_path):
    path = write_geopackage(tmp_path / "drawn.gpkg", [polygon_wkb(LEFT)], ["train"], crs=LOCAL)
    by_area = {"by": "area", "path": path, "field": "crop"}
    with pytest.raises(DataError, match=r"drawn\.gpkg.*cannot be transformed to OGC:CRS84"):
        run(tree(two_tiles, split_by=by_area))


def coco(**changes):
    whole = {
        "images": [{"id": 1, "file_name": "good.tif"}, {"id": 2, "file_name": "b.tif"}],
        "categories": [{"id": 1, "name": "barn"}],
        "annotations": [
            {"id": 7, "image_id": 1, "category_id": 1, "bbox": [1, 1, 8, 8]},
            {"id": 8, "image_id": 1, "category_id": 1, "bbox": [9, 9, 8, 8]},
        ],
    }
    return whole | changes


SOUND = coco()["annotations"]


@pytest.mark.parametrize(
    ("broken", "detail"),
    [
        ({"image_id": 1, "category_id": 1}, "entry 3 of its annotations: it has no 'id'."),
        ({"id": 9, "category_id": 1}, "entry 3 of its annotations: it has no 'image_id'."),
        ({"id": [], "image_id": 1, "category_id": 1}, "entry 3 of its annotations: "),
        (
            {"id": 2**63, "image_id": 1, "category_id": 1},
            "entry 3 of its annotations: its id is beyond 64 bits.",
        ),
        ({"id": 9, "image_id": {}, "category_id": 1}, "entry 3 of its annotations: "),
        (None, "entry 3 of its annotations: "),
        ("text", "entry 3 of its annotations: "),
    ],
)
def test_a_broken_entry_of_coco_is_one_reject(tmp_path, broken, detail):
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps(coco(annotations=[*SOUND, broken])))
    found = read_boxes(BoxFile(path=str(path)))
    assert found.numbers.tolist() == [7, 8]
    (reject,) = found.rejects
    assert (reject.source, reject.reason.value) == (str(path), "bad_entry")
    assert reject.detail.startswith(detail)


def test_boxes_that_are_no_numbers_are_rejects(tmp_path):
    path = tmp_path / "boxes.json"
    wild = [[1, 1, "x", 8], [1, 1, 10**400, 8], None, {"a": 1}]
    boxes = [{"id": 20 + n, "image_id": 1, "category_id": 1, "bbox": b} for n, b in enumerate(wild)]
    path.write_text(json.dumps(coco(annotations=[*SOUND, *boxes])))
    found = read_boxes(BoxFile(path=str(path)))
    assert [(it.number, it.reason.value) for it in found.rejects] == [
        (number, "empty_geometry") for number in (20, 21, 22, 23)
    ]


def test_coco_nested_without_end_is_a_sentence(tmp_path):
    path = tmp_path / "boxes.json"
    path.write_text('{"images": ' + "[" * 100_000)
    with pytest.raises(DataError, match=r"boxes\.json cannot be read: it is nested too deeply"):
        read_boxes(BoxFile(path=str(path)))


VOC = (
    "<annotation><filename>{}.png</filename><object><name>barn</name><bndbox><xmin>1</xmin>"
    "<ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object></annotation>"
)


@pytest.mark.parametrize("content", ["<annotation>", "", "<a/>", VOC.format("b")[:-20] + "\0"])
def test_a_broken_voc_file_is_one_reject(tmp_path, content):
    (tmp_path / "a.xml").write_text(VOC.format("a"))
    (tmp_path / "b.xml").write_text(content)
    (tmp_path / "c.xml").write_text(VOC.format("c"))
    found = read_boxes(BoxFile(path=str(tmp_path)))
    assert [image.name for image in found.images] == ["a.png", "c.png"]
    assert found.numbers.tolist() == [1, 2]
    (reject,) = found.rejects
    assert (reject.source, reject.reason.value) == (str(tmp_path / "b.xml"), "bad_entry")


def test_a_named_pipe_among_voc_files_is_one_reject(tmp_path):
    (tmp_path / "a.xml").write_text(VOC.format("a"))
    os.mkfifo(tmp_path / "b.xml")
    found = read_boxes(BoxFile(path=str(tmp_path)))
    assert [image.name for image in found.images] == ["a.png"]
    assert [reject.reason.value for reject in found.rejects] == ["bad_entry"]


@pytest.mark.parametrize(
    ("name", "text", "twice"),
    [
        ("boxes.csv", "image_path,xmin,ymin,xmax,ymax,label,xmin\na.png,1,1,5,5,x,3\n", "xmin"),
        (
            "boxes.json",
            '{"annotations": [], "categories": [], "images": [{"id": 1, "id": 2}]}',
            "id",
        ),
    ],
)
def test_what_labels_say_twice_is_refused(tmp_path, name, text, twice):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(DataError, match=rf"{name} cannot be read: .* twice: {twice}"):
        read_boxes(BoxFile(path=str(path)))


ITEM = {
    "type": "Feature",
    "stac_version": "1.0.0",
    "stac_extensions": [],
    "geometry": {"type": "Polygon", "coordinates": [[[0, 0], [9, 0], [9, 9], [0, 9], [0, 0]]]},
    "bbox": [0, 0, 9, 9],
    "properties": {"datetime": "2023-06-01T10:00:00Z", "eo:cloud_cover": 5},
    "links": [],
    "assets": {"red": {"href": "/data/red.tif", "type": "image/tiff", "roles": ["data"]}},
}


ITEMS = {
    "no object": 7,
    "no id": {**ITEM},
    "no type": {key: value for key, value in ITEM.items() if key != "type"} | {"id": "bad"},
    "a catalogue": {**ITEM, "id": "bad", "type": "Catalog"},
    "no properties": {**ITEM, "id": "bad", "properties": None},
    "another time": {**ITEM, "id": "bad", "properties": {"datetime": "yesterday"}},
    "another cover": {
        **ITEM,
        "id": "bad",
        "properties": {**ITEM["properties"], "eo:cloud_cover": "few"},
    },
    "no polygon": {**ITEM, "id": "bad", "geometry": {"type": "Polygon", "coordinates": [[[0]]]}},
    "another geometry": {**ITEM, "id": "bad", "geometry": {"type": "Ball", "coordinates": []}},
    "not closed": {
        **ITEM,
        "id": "bad",
        "geometry": {"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]},
    },
    "assets in a list": {**ITEM, "id": "bad", "assets": [1]},
    "an asset without a link": {**ITEM, "id": "bad", "assets": {"red": {"type": "image/tiff"}}},
    "links of numbers": {**ITEM, "id": "bad", "links": [7]},
}


@pytest.mark.parametrize("kind", ITEMS)
def test_a_broken_item_of_a_file_is_one_reject(tmp_path, kind):
    features = [{**ITEM, "id": "a"}, ITEMS[kind], {**ITEM, "id": "b"}]
    path = tmp_path / "items.json"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    query = StacQuery(
        source=str(path), assets=("red",), bbox=(1, 1, 2, 2), max_cloud_cover_percent=20
    )
    found = find_stac_scenes(query)
    assert [scene.scene_id for scene in found.sources] == ["a", "b"]
    (reject,) = found.rejects
    assert reject.reason is Reason.BAD_METADATA
    named = isinstance(ITEMS[kind], dict) and "id" in ITEMS[kind]
    assert reject.scene_id == ("bad" if named else "feature 1")


def test_a_static_catalogue_with_broken_links_gives_the_others(tmp_path):
    """A missing item, one that is not JSON, a child that is not a catalogue, and a cycle."""

    def catalogue(name, *links):
        links = [{"rel": rel, "href": href} for rel, href in links]
        (tmp_path / name).write_text(
            json.dumps(
                {"type": "Catalog", "id": name, "stac_version": "1.0.0", "description": "",
                 "links": links}
            )
        )  # fmt: skip

    catalogue(
        "top.json",
        ("item", "./missing.json"),
        ("item", "./a.json"),
        ("item", "./text.json"),
        ("child", "./below.json"),
        ("child", "./nowhere.json"),
        ("child", "./a.json"),
    )
    catalogue("below.json", ("item", "./b.json"), ("child", "./top.json"), ("child", "below.json"))
    (tmp_path / "text.json").write_text("{")
    for name in "ab":
        (tmp_path / f"{name}.json").write_text(json.dumps({**ITEM, "id": name}))
    found = find_stac_scenes(StacQuery(source=str(tmp_path / "top.json"), assets=("red",)))
    assert [scene.scene_id for scene in found.sources] == ["a", "b"]
    names = [Path(reject.scene_id).name for reject in found.rejects]
    assert names == ["missing.json", "text.json", "nowhere.json", "a.json"]


def test_a_catalogue_nested_without_end_is_a_sentence(tmp_path):
    path = tmp_path / "items.json"
    path.write_text('{"type": "FeatureCollection", "features": ' + "[" * 100_000)
    with pytest.raises(DataError, match="cannot be used: it is nested too deeply"):
        find_stac_scenes(StacQuery(source=str(path)))


@pytest.mark.parametrize("line", ["{not json", "[1]", "[" * 100_000])
def test_a_broken_line_of_a_manifest_is_one_reject(tmp_path, line):
    lines = ['{"uri": "a.png", "label": "x\u2028y"}', line, '{"uri": "b.png", "label": "z"}']
    path = tmp_path / "m.jsonl"
    path.write_bytes("\n".join(lines).encode("utf-8", "surrogateescape"))
    for name in "ab":
        Image.new("RGB", (8, 8)).save(tmp_path / f"{name}.png")
    source = IngestConfig.model_validate({"source": {"kind": "manifest", "uri": str(path)}}).source
    found = list_manifest(source.uri, source.columns)
    assert [record.label for record in found.records] == ["x\u2028y", "z"]
    (reject,) = found.rejects
    assert (reject.key, reject.uri, reject.reason.value) == ("row 2", str(path), "bad_row")
    assert reject.detail.startswith("line 2 ")
