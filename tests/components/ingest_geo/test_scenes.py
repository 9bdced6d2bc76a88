"""Scenes through the real ingest: tiles, truth, splits and rejects, each checked independently."""

import json

import numpy as np
import pytest
import rasterio
import shapely
import shapely.geometry
import tensorflow_data_validation as tfdv
from PIL import Image
from pydantic import ValidationError
from rasterio.transform import from_origin
from rasterio.windows import Window
from rasterio.windows import transform as window_transform

from components.ingest.config import IngestConfig
from components.ingest.fingerprint import fingerprint_dataset
from components.ingest.look import look
from components.ingest.sources import list_source
from components.raster.errors import DataError
from components.raster.payload import decode_payload
from components.raster.spatial.distance import LeakError
from components.raster.tiles.key import TileKey
from components.schema.infer import infer
from components.statistics.compute import in_memory
from tests.components.ingest_geo.conftest import SPLITS, by_key, floats, mask_of, strings

RANDOM = {"by": "tile", "insist": True}
DUBAI = {
    "#3C1098": "building",
    "#8429F6": "land",
    "#6EC1E4": "road",
    "#FEDD3A": "vegetation",
    "#E2A929": "water",
    "#9B9B9B": "unlabelled",
}


def of_scenes(uri, bands=("B1",), **options):
    source = {"kind": "scenes", "uri": str(uri), **options.pop("source", {})}
    source.setdefault("tiling", {"size_px": 32})
    return {"source": source, "image": {"bands": list(bands)}, "split_by": RANDOM, **options}


def listed(tree):
    return list_source(IngestConfig.model_validate(tree))


@pytest.fixture
def scene(write_raster, tmp_path):
    """A scene of 100 x 130 pixels of 10 m with two bands, all values different."""
    pixels = np.arange(1, 100 * 130 * 2 + 1, dtype=np.uint16).reshape(100, 130, 2)
    place = from_origin(500_000, 5_300_000, 10, 10)
    path = tmp_path / "scenes" / "one.tif"
    tags = {"ACQUISITION_DATE": "2021-07-09", "SENSOR": "MADE"}
    names = ("red", "nir")
    blocks = {"tiled": True, "blockxsize": 32, "blockysize": 32}
    return write_raster(pixels, str(path), transform=place, descriptions=names, tags=tags, **blocks)


@pytest.fixture
def shapes(tmp_path):
    """Writes polygons, given in pixels of `scene` as (left, top, right, bottom), as GeoJSON."""

    def write(boxes, name="labels.geojson", **columns):
        features = [
            {
                "type": "Feature",
                "properties": {field: values[at] for field, values in columns.items()},
                "geometry": shapely.geometry.mapping(
                    shapely.box(
                        500_000 + 10 * left,
                        5_300_000 - 10 * bottom,
                        500_000 + 10 * right,
                        5_300_000 - 10 * top,
                    )
                ),
            }
            for at, (left, top, right, bottom) in enumerate(boxes)
        ]
        crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32632"}}
        tree = {"type": "FeatureCollection", "crs": crs, "features": features}
        path = tmp_path / name
        path.write_text(json.dumps(tree))
        return str(path)

    return write


def test_tiles_put_together_are_the_scene(run, scene):
    outcome = run(of_scenes(scene, ("nir", "red")))
    with rasterio.open(scene) as dataset:
        source, affine = dataset.read([2, 1]).transpose(1, 2, 0), dataset.transform
    found = by_key(outcome)
    together = np.zeros((128, 160, 2), np.uint16)
    for key, (_, features) in found.items():
        window = TileKey.parse(key).window
        payload = decode_payload(features["image/encoded"].bytes_list.value[0])
        together[window.slices] = payload.pixels
        inside = source[window.slices].shape[:2]
        assert payload.valid[: inside[0], : inside[1]].all()
        assert payload.valid.sum() == inside[0] * inside[1]
        numbers = [float(text) for text in strings(features, "image/transform")[0].split()]
        place = Window(window.col, window.row, window.width, window.height)
        assert numbers == list(window_transform(place, affine)[:6])
        assert strings(features, "image/scene") == ["one"]
        assert strings(features, "image/date") == ["2021-07-09"]
        assert strings(features, "image/sensor") == ["MADE"]
        own = source[window.slices][..., 0]
        assert floats(features, "image/mean_nir") == pytest.approx([own.mean()], rel=1e-6)
    assert len(found) == 4 * 5 == outcome.summary.total_images
    np.testing.assert_array_equal(together[:100, :130], source)
    assert not together[100:].any()


def test_any_number_of_workers_writes_the_same_bytes(run, scene):
    tree = of_scenes(scene, ("red",), source={"tiling": {"size_px": 16}}, shards=3)
    once, again = run(tree), run(tree, "more", "--ingest_processes=2")
    for split in SPLITS:
        assert len(once.shards(split)) == 3
        assert once.shards(split) == again.shards(split)


def test_a_work_item_is_a_range_of_blocks(scene):
    listing = listed(of_scenes(scene, ("red",), source={"tiling": {"size_px": 16}}, shards=2))
    assert len(listing.parts) == 2
    assert sum(part.tiles for part in listing.parts) == listing.images == 7 * 9
    assert all(part.rows[0] * 16 % 32 == 0 for part in listing.parts)


def test_classes_come_from_the_shape_that_covers_most(run, scene, shapes):
    wood, lake = (0, 0, 64, 100), (80, 0, 130, 100)
    path = shapes([wood, lake], kind=["wood", "lake"])
    labels = {"kind": "shapes", "path": path, "class_field": "kind"}
    outcome = run(of_scenes(scene, ("red",), source={"labels": labels}))
    got = {key: strings(it, "label/text")[0] for key, (_, it) in by_key(outcome).items()}
    # Columns of tiles begin at 0, 32, 64, 96 and 128; the third is half lake, half nothing, and
    # the last of it and of the scene is nearly all padding.
    wanted = {}
    for row in (0, 32, 64, 96):
        for col in (0, 32, 64, 96, 128):
            box = shapely.box(col, row, col + 32, row + 32)
            share = {
                name: box.intersection(shapely.box(*shape)).area / box.area
                for name, shape in (("wood", wood), ("lake", lake))
            }
            best = max(share, key=share.get)
            if share[best] > 1 - sum(share.values()):
                wanted[f"one@{row},{col},32x32"] = best
    assert got == wanted
    assert outcome.classes() == ["lake", "wood"]
    assert outcome.summary.ignored == {"(no_truth)": 20 - len(wanted)}


def test_numbers_masks_and_boxes_of_shapes(run, scene, shapes):
    boxes = [(4, 6, 20, 12), (24, 8, 40, 20)]
    labels = {
        "kind": "shapes",
        "path": shapes(boxes, yield_t=[2.0, 8.0]),
        "number_field": "yield_t",
    }
    tiling = {"size_px": 32, "edge": "drop"}

    def tile(name, target, **more):
        source = {"tiling": tiling, "labels": {**labels, **more}, "target": target}
        return by_key(run(of_scenes(scene, ("red",), source=source), name))["one@0,0,32x32"][1]

    number = tile("number", {"to": "number", "rule": "mean"})
    areas = 16 * 6, 8 * 12
    expected = (2.0 * areas[0] + 8.0 * areas[1]) / sum(areas)
    assert floats(number, "target/number") == pytest.approx([expected])
    mask = tile("mask", {"to": "mask", "background": "ground"}, class_name="house")
    wanted = np.zeros((32, 32), np.uint8)
    wanted[6:12, 4:20] = 1
    wanted[8:20, 24:32] = 1
    np.testing.assert_array_equal(mask_of(mask), wanted)
    found = tile("boxes", {"to": "boxes", "min_visible": 0.5}, class_name="house")
    edges = [floats(found, f"object/bbox/{edge}") for edge in ("ymin", "xmin", "ymax", "xmax")]
    assert edges == [[6, 8], [4, 24], [12, 20], [20, 32]]
    assert strings(found, "object/label/text") == ["house", "house"]


@pytest.mark.parametrize(
    ("target", "feature"),
    [
        ({"to": "class", "background": "ground"}, "label/text"),
        ({"to": "classes"}, "labels/text"),
        ({"to": "number", "rule": "count"}, "target/number"),
        ({"to": "boxes"}, "object/label/text"),
        ({"to": "mask", "background": "ground"}, "image/mean_red"),
    ],
)
def test_every_target_goes_on_to_statistics_schema_and_look(run, scene, shapes, target, feature):
    """Tiles that hold no object have no class and no box: that is not an anomaly."""
    labels = {"kind": "shapes", "path": shapes([(0, 0, 60, 60), (70, 3, 75, 8)])}
    source = {"labels": labels, "target": target, "tiling": {"size_px": 16}}
    tree = of_scenes(scene, ("red", "nir"), source=source)
    outcome = run(tree)
    statistics, later = (
        in_memory([str(outcome.examples_dir / f"Split-{split}" / name) for name in files])
        for split, files in ((it, outcome.shards(it)) for it in ("train", "test"))
    )
    counted = {it.path.step[0] for it in statistics.datasets[0].features}
    assert {feature, "image/valid_fraction", "image/stddev_nir"} <= counted
    assert not counted & {"image/encoded", "mask/encoded", "image/crs", "image/key"}
    schema = infer(statistics, outcome.classes())
    for found in (statistics, later):
        assert dict(tfdv.validate_statistics(found, schema).anomaly_info) == {}
    assert look(IngestConfig.model_validate(tree), count=9).width > 9 * 100


def test_building_footprints_are_boxes_in_pixels(run, shared_data):
    folder = shared_data("aerial_detection/spacenet_buildings")
    labels = {"kind": "shapes", "path": str(folder / "geotiff_labels.geojson")}
    source = {"labels": labels, "target": {"to": "boxes"}, "tiling": {"size_px": 900}}
    outcome = run(of_scenes(folder / "sample_geotiff.tif", source=source, max_reject_fraction=1))
    ((_, features),) = by_key(outcome).values()
    with rasterio.open(folder / "sample_geotiff.tif") as dataset:
        inverse = ~dataset.transform
    wanted = []
    for feature in json.loads((folder / "geotiff_labels.geojson").read_text())["features"]:
        shape = shapely.geometry.shape(feature["geometry"])
        points = [inverse @ point[:2] for point in shapely.get_coordinates(shape)]
        cols, rows = zip(*points, strict=True)
        wanted.append((min(rows), min(cols), max(rows), max(cols)))
    names = ("ymin", "xmin", "ymax", "xmax")
    got = zip(*(floats(features, f"object/bbox/{edge}") for edge in names), strict=True)
    inside = [np.clip(box, 0, 900) for box in wanted]
    np.testing.assert_allclose(sorted(got), sorted(map(tuple, inside)), atol=1e-2)


def test_a_mask_s_wrong_colours_are_reported_before_anything_is_read(shared_data):
    folder = shared_data("dubai_segmentation")
    legend = {"colours": {"#3C1098": "building", "#D0A9F5": "land"}}
    labels = {"kind": "masks", "folder": str(folder / "masks"), "legend": legend}
    source = {"suffixes": [".jpg"], "without_map": True, "labels": labels, "target": {"to": "mask"}}
    with pytest.raises(
        DataError, match=r"(?s)#8429F6 .*Declared and never found: #D0A9F5"
    ) as error:
        listed(of_scenes(folder / "images", ("red",), source=source))
    assert "undeclared: ignore" in str(error.value)


def test_masks_beside_images_are_tiled_with_them(run, shared_data, tmp_path):
    folder = shared_data("dubai_segmentation")
    (tmp_path / "images").mkdir()
    for number in (1, 2, 3):
        name = f"tile1_00{number}.jpg"
        (tmp_path / "images" / name).symlink_to(folder / "images" / name)
    legend = {"colours": DUBAI, "ignore": ["unlabelled"]}
    labels = {"kind": "masks", "folder": str(folder / "masks"), "legend": legend}
    labels["undeclared"] = "ignore"
    source = {"suffixes": [".jpg"], "without_map": True, "labels": labels, "target": {"to": "mask"}}
    source["tiling"] = {"size_px": 256}
    bands = ("red", "green", "blue")
    outcome = run(of_scenes(tmp_path / "images", bands, source=source))
    classes = outcome.classes()
    assert classes == ["building", "land", "road", "vegetation", "water"]
    codes = {
        tuple(bytes.fromhex(text[1:])): classes.index(name)
        for text, name in DUBAI.items()
        if name in classes
    }
    found = by_key(outcome)
    for key, (_, features) in found.items():
        parsed = TileKey.parse(key)
        colours = np.asarray(Image.open(folder / "masks" / f"{parsed.scene_id}.png").convert("RGB"))
        part = colours[parsed.window.slices]
        wanted = np.full((256, 256), 255, np.uint8)
        for colour, index in codes.items():
            wanted[: part.shape[0], : part.shape[1]][(part == colour).all(axis=2)] = index
        np.testing.assert_array_equal(mask_of(features), wanted)
    assert {TileKey.parse(key).scene_id for key in found} == {f"tile1_00{n}" for n in (1, 2, 3)}


def test_a_class_raster_on_its_own_grid_gives_classes(run, scene, write_raster, tmp_path):
    land = np.ones((50, 65, 1), np.uint8)
    land[:, 40:] = 2
    place = from_origin(500_000, 5_300_000, 20, 20)
    path = write_raster(land, str(tmp_path / "land.tif"), transform=place)
    labels = {"kind": "class_raster", "path": str(path), "legend": {"values": {1: "a", 2: "b"}}}
    outcome = run(of_scenes(scene, ("red",), source={"labels": labels}))
    got = {key: strings(it, "label/text")[0] for key, (_, it) in by_key(outcome).items()}
    # The classes meet at column 80 of the scene, in the middle of the tiles from 64 to 96.
    assert {key for key, name in got.items() if name == "b"} == {
        f"one@{row},{col},32x32" for row in (0, 32, 64, 96) for col in (96, 128)
    }
    lacking = {**labels, "legend": {"values": {1: "a"}}}
    with pytest.raises(DataError, match=r"no class declares: 2 \(1250 pixels\); \S+\.tif is"):
        listed(of_scenes(scene, ("red",), source={"labels": lacking}))


def test_blocks_leave_no_two_splits_in_touch(run, scene):
    blocks = {"by": "block", "block_m": 500, "buffer_m": 0}
    tree = of_scenes(scene, ("red",), source={"tiling": {"size_px": 8}}, split_by=blocks)
    outcome = run(tree)
    ground = {
        split: shapely.union_all(
            [
                shapely.box(w.col, w.row, w.right, w.bottom)
                for w in (TileKey.parse(key).window for key in outcome.keys(split))
            ]
        )
        for split in SPLITS
    }
    assert all(not shape.is_empty for shape in ground.values())
    for one, other in (("train", "eval"), ("train", "test"), ("eval", "test")):
        assert ground[one].distance(ground[other]) > 0
    left_out = outcome.summary.ignored["(at_border)"]
    assert left_out + outcome.summary.total_images == 13 * 17


def test_only_tiles_to_learn_from_overlap(run, write_raster, tmp_path):
    pixels = np.arange(1, 400 * 400 + 1, dtype=np.uint32).reshape(400, 400, 1)
    place = from_origin(500_000, 5_300_000, 10, 10)
    scene = write_raster(pixels, str(tmp_path / "scenes" / "wide.tif"), transform=place)
    tiling = {"size_px": 32, "stride_px": 8, "overlap": "train", "edge": "drop"}
    blocks = {"by": "block", "block_m": 1000, "buffer_m": 0}
    split = {"train": 0.4, "eval": 0.3, "test": 0.3}
    outcome = run(of_scenes(scene, source={"tiling": tiling}, split_by=blocks, split=split))
    windows = {name: [] for name in SPLITS}
    for key, (split, _) in by_key(outcome).items():
        windows[split].append(TileKey.parse(key).window)
    seen = {name: np.zeros((400, 400), int) for name in SPLITS}
    for name, found in windows.items():
        for window in found:
            seen[name][window.slices] += 1
    assert seen["train"].max() == 16
    assert seen["eval"].max() == seen["test"].max() == 1
    assert not (seen["train"] * (seen["eval"] + seen["test"])).any()
    assert outcome.summary.ignored["(overlaps)"] > 0


def test_tiles_side_by_side_need_a_stride_that_meets_them(tmp_path):
    source = {"tiling": {"size_px": 32, "stride_px": 12, "overlap": "train"}}
    with pytest.raises(ValidationError, match=r"needs a size_px \(32\) that is a multiple of"):
        IngestConfig.model_validate(of_scenes(tmp_path, source=source))


def test_tiles_of_a_random_split_touch(scene):
    assert listed(of_scenes(scene, ("red", "nir"))).train_to_test_m == pytest.approx(0, abs=1e-6)


def test_a_random_split_of_tiles_is_refused(scene):
    with pytest.raises(LeakError, match="insist: true"):
        listed(of_scenes(scene, ("red",), split_by=None))


def test_an_area_of_interest_keeps_its_tiles(scene, shapes):
    area = shapes([(33, 0, 64, 32)], name="area.geojson")
    (part,) = listed(of_scenes(scene, ("red",), source={"area": area})).parts
    assert part.tiles == 1


def test_real_scenes_become_tiles_or_rejects_with_a_reason(run, shared_data):
    folder = shared_data("geotiff_multiband")
    tree = of_scenes(folder, (1,), split_by={"by": "scene"}, max_reject_fraction=1)
    tree["source"]["tiling"] = {"size_px": 128}
    with pytest.raises(DataError, match=r"Band #1 is .* number \* 0.671 - 2.19134 in 'LT522"):
        listed(tree)
    tree["image"]["values"] = "stored"
    outcome = run(tree)
    rejects = {key: str(reject.reason) for key, reject in outcome.rejects().items()}
    assert rejects == {
        "rasterio_float_nan": "no_crs",
        "rasterio_rotated": "no_crs",
    }
    splits = {}
    for key, (split, _) in by_key(outcome).items():
        splits.setdefault(TileKey.parse(key).scene_id, set()).add(split)
    assert len(splits) == 9
    assert all(len(of_scene) == 1 for of_scene in splits.values())


def test_items_of_a_catalogue_are_scenes(run, scene, tmp_path):
    item = {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": "S2_one",
        "collection": "made",
        "geometry": {
            "type": "Polygon",
            "coordinates": [[[8, 47], [10, 47], [10, 48], [8, 48], [8, 47]]],
        },
        "bbox": [8, 47, 10, 48],
        "properties": {
            "datetime": "2022-05-06T10:00:00Z",
            "platform": "made-2",
            "eo:cloud_cover": 3,
        },
        "links": [],
        "assets": {
            "image": {
                "href": str(scene),
                "type": "image/tiff; application=geotiff",
                "bands": [{"name": "b4", "eo:common_name": "red"}, {"name": "b8"}],
            },
        },
    }
    items = tmp_path / "items.json"

    def write(*found):
        items.write_text(json.dumps({"type": "FeatureCollection", "features": found}))

    lost = {**item, "id": "S2_lost", "assets": {}}
    write(item, lost)
    source = {"kind": "stac", "query": {"source": str(items)}, "tiling": {"size_px": 64}}
    tree = {"source": source, "image": {"bands": ["red"]}, "split_by": RANDOM}
    tree["max_reject_fraction"] = 1
    outcome = run(tree)
    assert {key: str(it.reason) for key, it in outcome.rejects().items()} == {
        "made/S2_lost": "no_asset"
    }
    found = by_key(outcome)
    assert len(found) == 6
    for key, (_, features) in found.items():
        assert key.startswith("made/S2_one@")
        assert strings(features, "image/date") == ["2022-05-06"]
        assert strings(features, "image/bands") == ["red"]
    config = IngestConfig.model_validate(tree)
    before = fingerprint_dataset(config.source)
    write({**item, "properties": {**item["properties"], "platform": "made-3"}}, lost)
    assert fingerprint_dataset(config.source) != before


def test_the_fingerprint_follows_scenes_labels_and_areas(scene, shapes):
    labels = shapes([(0, 0, 60, 60)])
    area = shapes([(0, 0, 100, 100)], name="area.geojson")
    source = {"labels": {"kind": "shapes", "path": labels}, "area": area}
    config = IngestConfig.model_validate(of_scenes(scene, ("red",), source=source))
    seen = {fingerprint_dataset(config.source)}
    assert fingerprint_dataset(config.source) in seen
    shapes([(0, 0, 60, 61)])
    seen.add(fingerprint_dataset(config.source))
    shapes([(0, 0, 100, 101)], name="area.geojson")
    seen.add(fingerprint_dataset(config.source))
    with rasterio.open(scene, "r+") as dataset:
        dataset.write(np.zeros((100, 130), np.uint16), 1)
    seen.add(fingerprint_dataset(config.source))
    assert len(seen) == 4


def test_labels_of_no_use_are_rejects_once(run, scene, shapes):
    path = shapes([(0, 0, 64, 64), (900, 900, 950, 950), (0, 0, 9, 9)], kind=["a", "a", None])
    labels = {"kind": "shapes", "path": path, "class_field": "kind"}
    outcome = run(of_scenes(scene, ("red",), source={"labels": labels}, max_reject_fraction=1))
    assert sorted(str(it.reason) for it in outcome.rejects().values()) == [
        "no_class",
        "outside_scenes",
    ]


def test_a_target_that_labels_cannot_tell_is_refused(tmp_path):
    labels = {"kind": "masks", "folder": str(tmp_path), "legend": {"values": {1: "a"}}}
    source = {"labels": labels, "target": {"to": "boxes"}}
    with pytest.raises(ValidationError, match="target boxes needs labels of kind shapes"):
        IngestConfig.model_validate(of_scenes(tmp_path, source=source))


def test_a_scene_without_a_fitting_mask_is_a_reject(run, write_raster, tmp_path):
    folder = tmp_path / "masks"
    folder.mkdir()
    ones = np.ones((32, 32, 1), np.uint16)
    for number in range(4):
        place = from_origin(500_000 + 1_000 * number, 5_300_000, 10, 10)
        write_raster(ones + number, str(tmp_path / "scenes" / f"{number}.tif"), transform=place)
    Image.fromarray(np.ones((32, 32), np.uint8)).save(folder / "0.png")
    Image.fromarray(np.ones((32, 31), np.uint8)).save(folder / "1.png")
    (folder / "2.png").write_text("no image")
    labels = {"kind": "masks", "folder": str(folder), "legend": {"values": {1: "land"}}}
    source = {"labels": labels, "target": {"to": "mask"}}
    outcome = run(of_scenes(tmp_path / "scenes", source=source, max_reject_fraction=1))
    assert {key: str(it.reason) for key, it in outcome.rejects().items()} == {
        "1": "mask_differs",
        "2": "unreadable",
        "3": "no_mask",
    }
    ((_, features),) = by_key(outcome).values()
    assert not mask_of(features).any()
