"""Positions of tiles, for any size, stride, edge policy and window."""

from itertools import chain
from typing import Any, get_args

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.windows import Window as RasterioWindow
from rasterio.windows import transform as window_transform

from components.raster.errors import ConfigError
from components.raster.reasons import Reason
from components.raster.scene.grid import Grid
from components.raster.scene.rejects import SceneRejected
from components.raster.tiles.areas import area_in_pixels, geometry_in_pixels
from components.raster.tiles.key import TileKey, Window
from components.raster.tiles.parts import plan_parts, whole
from components.raster.tiles.tiling import Edge, TilePlan, Tiling, plan_tiles, starts

LENGTH = st.integers(1, 200)
NORTH_UP = Affine(10, 0, 500_000, 0, -10, 5_300_000)
GRID = Grid(100, 90, NORTH_UP, "EPSG:32632")


@given(LENGTH, LENGTH, LENGTH, st.sampled_from(get_args(Edge)))
def test_starts_cover_what_the_policy_promises(
    length: int, size: int, stride: int, edge: Edge
) -> None:
    found = starts(length, size, stride, edge)
    covered = np.zeros(length + size, int)
    for start in found:
        covered[start : start + size] += 1
    assert list(found) == sorted(set(found))
    assert all(0 <= start < length for start in found)
    if edge != "pad":
        assert all(start + size <= length for start in found)
    if stride <= size and (edge == "pad" or (edge == "snap" and size <= length)):
        assert covered[:length].all()
    if edge != "snap":
        assert all(start % stride == 0 for start in found)


@given(LENGTH, LENGTH, st.integers(1, 200))
def test_no_padded_tile_is_without_a_pixel_of_its_own(length: int, size: int, stride: int) -> None:
    stride = min(stride, size)
    found = starts(length, size, stride, "pad")
    # All but the last reach less far than the scene: otherwise the last would be superfluous.
    assert all(start + size < length for start in found[:-1])


@given(st.integers(40, 90), st.integers(1, 10), st.integers(1, 4), st.sampled_from(get_args(Edge)))
def test_tiles_side_by_side_are_those_that_there_are_without_overlap(
    length: int, stride: int, times: int, edge: Edge
) -> None:
    size = times * stride
    grid = Grid(length, length, NORTH_UP, "EPSG:32632")
    finer = Tiling(size_px=size, stride_px=stride, edge=edge, overlap="train")
    plan = plan_tiles("one", grid, finer)
    coarse = plan_tiles("one", grid, Tiling(size_px=size, edge=edge))
    apart, without = (
        [window for window in windows_of(it) if finer.is_disjoint(window)] for it in (plan, coarse)
    )
    assert apart == without
    assert set(windows_of(coarse)) <= set(windows_of(plan))


def windows_of(plan: TilePlan) -> list[Window]:
    return [key.window for key in plan.keys()]  # noqa: SIM118 (a plan is not a dict)


@pytest.mark.parametrize(
    ("edge", "expected"), [("pad", (0, 40, 80)), ("snap", (0, 40, 60)), ("drop", (0, 40))]
)
def test_edge_policies(edge: Edge, expected: tuple[int, ...]) -> None:
    assert starts(100, 40, 40, edge) == expected


@given(
    st.integers(-(2**40), 2**40),
    st.integers(-(2**40), 2**40),
    LENGTH,
    LENGTH,
    st.text("ab/ @,x0é", min_size=1, max_size=12),
)
def test_a_key_is_read_back(row: int, col: int, height: int, width: int, scene: str) -> None:
    key = TileKey(scene, Window(row, col, height, width))
    assert TileKey.parse(str(key)) == key


def test_what_is_no_key_is_said_so() -> None:
    with pytest.raises(ValueError, match="is not a tile key"):
        TileKey.parse("scene@1,2")


@settings(max_examples=60)
@given(
    st.integers(1, 120),
    st.integers(1, 120),
    st.integers(1, 50),
    st.integers(1, 60),
    st.integers(1, 9),
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
)
def test_parts_hold_every_tile_once(
    height: int, width: int, size: int, stride: int, count: int, block: tuple[int, int]
) -> None:
    plan = plan_tiles(
        "s", Grid(height, width, NORTH_UP, None), Tiling(size_px=size, stride_px=stride)
    )
    parts = plan_parts(plan, count, block)
    found = list(chain.from_iterable(part.keys() for part in parts))
    assert sorted(found) == sorted(plan.keys())
    assert len(set(found)) == len(found) == plan.lattice_count


def test_parts_end_where_blocks_do() -> None:
    plan = plan_tiles("s", Grid(4096, 4096, NORTH_UP, None), Tiling(size_px=256))
    parts = plan_parts(plan, 4, (512, 512))
    assert [plan.rows[part.rows.start] for part in parts] == [0, 1024, 2048, 3072]
    # Fewer rows of blocks than parts: columns are split as well.
    flat = plan_tiles("s", Grid(512, 4096, NORTH_UP, None), Tiling(size_px=256))
    assert [flat.cols[part.cols.start] for part in plan_parts(flat, 4, (512, 512))] == [
        0,
        1024,
        2048,
        3072,
    ]


@given(st.integers(-500, 500), st.integers(-500, 500), st.floats(-180, 180))
def test_a_tiles_transform_is_the_scenes_moved(row: int, col: int, degrees: float) -> None:
    transform = NORTH_UP * Affine.rotation(degrees)
    found = Grid(100, 100, transform, None).window_transform(row, col)
    expected = window_transform(RasterioWindow(col, row, 1, 1), transform)
    assert found.almost_equals(expected, precision=1e-6)
    # No rounding builds up: the corner is where the scene's own transform puts it.
    assert (found.c, found.f) == pytest.approx(transform @ (col, row), rel=1e-15)


def test_a_lattice_may_begin_at_a_window() -> None:
    plan = plan_tiles("s", GRID, Tiling(size_px=30, edge="snap"), within=Window(5, 7, 50, 40))
    assert (plan.rows, plan.cols) == ((5, 25), (7, 17))


def test_a_scene_smaller_than_a_tile_is_padded_or_rejected() -> None:
    assert plan_tiles("s", GRID, Tiling(size_px=128)).lattice_count == 1
    with pytest.raises(SceneRejected, match="100 x 90 pixels hold no tile of 128") as caught:
        plan_tiles("s", GRID, Tiling(size_px=128, edge="snap"))
    assert caught.value.reason is Reason.SMALLER_THAN_TILE


@pytest.mark.parametrize(("rule", "expected"), [("intersects", 4), ("centre", 2), ("within", 1)])
def test_an_area_keeps_the_tiles_its_rule_says(rule: Any, expected: int) -> None:
    # Tiles of 10 px are 100 m. The area holds one whole, most of a second, bits of two more, and
    # only touches others.
    left, top = 500_100, 5_299_900
    area = shapely.box(left, top - 120, left + 180, top)
    tiling = Tiling(size_px=10, area_rule=rule)
    pixels = area_in_pixels("s", GRID, area, "EPSG:32632")
    keys = list(plan_tiles("s", GRID, tiling, area=pixels).keys())
    assert len(keys) == expected
    assert TileKey("s", Window(10, 10, 10, 10)) in keys


def test_an_area_elsewhere_rejects_the_scene() -> None:
    with pytest.raises(SceneRejected) as caught:
        area_in_pixels("s", GRID, shapely.box(20, 20, 21, 21))
    assert caught.value.reason is Reason.OUTSIDE_AREA
    with pytest.raises(SceneRejected) as caught:
        area_in_pixels("s", Grid(9, 9, Affine.identity(), None), shapely.box(0, 0, 5, 5))
    assert caught.value.reason is Reason.NO_CRS
    bow = shapely.Polygon([(0, 0), (1, 1), (1, 0), (0, 1)])
    with pytest.raises(ConfigError, match="Self-intersection"):
        area_in_pixels("s", GRID, bow)


def test_geometry_goes_through_a_rotated_grid() -> None:
    rotated = NORTH_UP * Affine.rotation(30)
    grid = Grid(100, 100, rotated, "EPSG:32632")
    corner = shapely.Point(*(rotated @ (12.5, 40.25)))
    moved = geometry_in_pixels(corner, "EPSG:32632", grid)
    assert (moved.x, moved.y) == pytest.approx((12.5, 40.25))


def test_a_million_tiles_are_planned_without_being_made() -> None:
    plan = plan_tiles("s", Grid(64_000, 64_000, NORTH_UP, None), Tiling(size_px=64))
    assert plan.lattice_count == 1_000_000
    assert len(plan_parts(plan, 100, (512, 512))) == 100
    assert next(whole(plan).keys()) == TileKey("s", Window(0, 0, 64, 64))
