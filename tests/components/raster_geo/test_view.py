"""Views: their bands and grids, and values that a warp keeps."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyproj
import pytest
import rasterio
from affine import Affine

from components.raster.reasons import Reason
from components.raster.scene.grid import Floats
from components.raster.scene.probe import open_scene
from components.raster.scene.rejects import SceneRejected
from components.raster.scene.scene import BandFile, Scene, SceneSource
from components.raster.tiles.key import Window
from components.raster.tiles.parts import whole
from components.raster.tiles.reading import read_tiles, read_window
from components.raster.tiles.tile import Tile
from components.raster.tiles.tiling import Tiling, plan_tiles
from components.raster.tiles.view import View, Warp, view_on, view_scene


def full(view: View) -> Window:
    return Window(0, 0, view.grid.height_px, view.grid.width_px)


def in_source(view: View, epsg: int, transform: Affine) -> tuple[Floats, Floats]:
    """(rows, columns) in the source of the centres of a warped view's pixels, by pyproj."""
    rows, cols = np.mgrid[: view.grid.height_px, : view.grid.width_px] + 0.5
    to_source = pyproj.Transformer.from_crs(view.grid.crs, epsg, always_xy=True)
    xs, ys = to_source.transform(*view.grid.to_map(rows, cols))
    back = ~transform
    return back.d * xs + back.e * ys + back.f, back.a * xs + back.b * ys + back.c


def within(rows: Floats, cols: Floats, shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    inside: npt.NDArray[np.bool_] = (
        (rows >= 0) & (rows < shape[0]) & (cols >= 0) & (cols < shape[1])
    )
    return inside


def refusal(scene: Scene, *arguments: Any, **options: Any) -> SceneRejected:
    with pytest.raises(SceneRejected) as caught:
        view_scene(scene, *arguments, **options)
    return caught.value


@pytest.fixture
def two_sizes(write_raster: Any, numbered_pixels: Any) -> Scene:
    """A scene like Sentinel-2's: one band of 10 m, one of 20 m."""
    fine = write_raster(numbered_pixels(20, 20), "fine.tif", nodata=0)
    coarse_at = Affine(20, 0, 500_000, 0, -20, 5_300_000)
    coarse = write_raster(numbered_pixels(10, 10), "coarse.tif", transform=coarse_at, nodata=0)
    files = (BandFile(str(fine), ("B02",)), BandFile(str(coarse), ("B11",)))
    return open_scene(SceneSource("scene", files))


def test_no_warp_where_the_scene_is_already_there(
    shared_data: Callable[[str], Path], scene_at: Callable[..., Scene]
) -> None:
    path = shared_data("geotiff_multiband") / "naip_m_4709963_se_14_1_20090818.tif"
    view = view_scene(scene_at(path), warp=Warp(crs="EPSG:26914", gsd_m=5.0))
    assert view.resampling is None
    pixels, _ = read_window(view, full(view))
    with rasterio.open(path) as dataset:
        assert pixels.transpose(2, 0, 1).tobytes() == dataset.read().tobytes()


@pytest.mark.parametrize("gsd_m", [300, 1000])
def test_the_nearest_pixel_is_the_one_that_pyproj_finds(
    shared_data: Callable[[str], Path], scene_at: Callable[..., Scene], gsd_m: int
) -> None:
    path = shared_data("geotiff_multiband") / "riotiler_cog_nodata.tif"
    warp = Warp(crs="EPSG:32622", gsd_m=gsd_m, resampling="nearest")
    view = view_scene(scene_at(path), warp=warp)
    assert (view.grid.transform.a, view.grid.transform.e) == (gsd_m, -gsd_m)
    assert view.grid.transform.c % gsd_m == view.grid.transform.f % gsd_m == 0
    pixels, valid = read_window(view, full(view))
    with rasterio.open(path) as dataset:
        source, rows, cols = dataset.read(1), *in_source(view, 32621, dataset.transform)
    inside = within(rows, cols, source.shape)
    expected = np.full(valid.shape, 1, "uint16")
    expected[inside] = source[rows[inside].astype(int), cols[inside].astype(int)]
    assert (pixels[..., 0] == expected).mean() > 0.999
    np.testing.assert_array_equal(valid, pixels[..., 0] != 1)
    assert 0.1 < valid.mean() < 0.99


def test_bilinear_is_bilinear(
    shared_data: Callable[[str], Path], scene_at: Callable[..., Scene]
) -> None:
    path = shared_data("geotiff_multiband") / "stars_L7_ETMs.tif"
    view = view_scene(scene_at(path), (4,), warp=Warp(crs="EPSG:32725", gsd_m=28.5))
    pixels, _ = read_window(view, full(view))
    with rasterio.open(path) as dataset:
        source, rows, cols = dataset.read(4), *in_source(view, 31985, dataset.transform)
    inside = within(rows - 1, cols - 1, (source.shape[0] - 2, source.shape[1] - 2))
    r, c = rows[inside] - 0.5, cols[inside] - 0.5
    top, left = np.floor(r).astype(int), np.floor(c).astype(int)
    down, right = r - top, c - left
    expected = (
        source[top, left] * (1 - down) * (1 - right)
        + source[top, left + 1] * (1 - down) * right
        + source[top + 1, left] * down * (1 - right)
        + source[top + 1, left + 1] * down * right
    )
    assert np.abs(pixels[inside, 0] - expected).max() < 1.5


def test_every_pixel_of_the_scene_lies_in_its_warped_grid(
    shared_data: Callable[[str], Path], scene_at: Callable[..., Scene]
) -> None:
    path = shared_data("geotiff_multiband") / "stars_L7_ETMs.tif"
    scene = scene_at(path)
    grid = view_scene(scene, warp=Warp(crs="EPSG:3857", gsd_m=30)).grid
    source = scene.bands[0].file.grid
    rows, cols = np.meshgrid(np.linspace(0, 352, 20), np.linspace(0, 349, 20))
    to_target = pyproj.Transformer.from_crs(31985, 3857, always_xy=True)
    found_rows, found_cols = grid.to_pixels(*to_target.transform(*source.to_map(rows, cols)))
    assert found_rows.min() >= -1e-6
    assert found_cols.min() >= -1e-6
    assert found_rows.max() <= grid.height_px + 1e-6
    assert found_cols.max() <= grid.width_px + 1e-6


def test_a_scene_without_nodata_has_a_mask_at_its_warped_edges(
    shared_data: Callable[[str], Path], scene_at: Callable[..., Scene]
) -> None:
    path = shared_data("geotiff_multiband") / "stars_L7_ETMs.tif"
    scene = scene_at(path)
    view = view_scene(scene, warp=Warp(crs="EPSG:4326", resampling="nearest"))
    _, valid = read_window(view, full(view))
    # Independently: a pixel is valid when its centre lies in the source's rectangle.
    source = scene.bands[0].file.grid
    rows, cols = in_source(view, 31985, source.transform)
    expected = within(rows, cols, (source.height_px, source.width_px))
    assert (valid != expected).sum() <= 0.0005 * valid.size
    assert not valid.all()


def test_a_mask_band_is_warped_with_its_pixels(
    shared_data: Callable[[str], Path], scene_at: Callable[..., Scene]
) -> None:
    path = shared_data("geotiff_multiband") / "riotiler_cog_rgb_mask.tif"
    scene = scene_at(path)
    view = view_scene(scene, warp=Warp(crs="EPSG:26912", resampling="nearest"))
    _, valid = read_window(view, full(view))
    with rasterio.open(path) as dataset:
        native = dataset.dataset_mask() != 0
    rows, cols = in_source(view, 26913, scene.bands[0].file.grid.transform)
    inside = within(rows, cols, native.shape)
    expected = np.zeros_like(valid)
    expected[inside] = native[rows[inside].astype(int), cols[inside].astype(int)]
    assert (valid != expected).mean() < 0.002
    assert 0 < valid.mean() < native.mean() + 0.01


def test_nan_stays_out_of_a_warp(write_raster: Any, scene_at: Any) -> None:
    pixels = np.ones((20, 20, 1), "float32")
    pixels[5:10, 5:10] = np.nan
    view = view_scene(
        scene_at(write_raster(pixels, "nan.tif")), warp=Warp(gsd_m=5, resampling="bilinear")
    )
    found, valid = read_window(view, full(view))
    assert found.shape == (40, 40, 1)
    assert (found[valid] == 1).all()
    assert not valid[11:19, 11:19].any()


def test_windows_of_a_warp_do_not_depend_on_how_it_is_cut(
    shared_data: Callable[[str], Path], scene_at: Callable[..., Scene]
) -> None:
    path = shared_data("geotiff_multiband") / "naip_m_4709963_se_14_1_20090818.tif"
    view = view_scene(scene_at(path), warp=Warp(crs="EPSG:5070", gsd_m=7, resampling="cubic"))
    pixels, valid = read_window(view, full(view))
    plan = plan_tiles("scene", view.grid, Tiling(size_px=200, stride_px=130))
    for tile in read_tiles(view, whole(plan), threads=2):
        assert isinstance(tile, Tile)
        there = tile.key.window.intersection(plan.extent)
        here = there.relative_to(tile.key.window).slices
        np.testing.assert_array_equal(tile.pixels[here], pixels[there.slices])
        np.testing.assert_array_equal(tile.valid[here], valid[there.slices])


def test_a_rotated_scene_can_be_turned_north_up(write_raster: Any, scene_at: Any) -> None:
    at = Affine.translation(500_000, 5_300_000) * Affine.rotation(20) * Affine.scale(10, -10)
    path = write_raster(np.full((30, 30, 1), 5, "uint8"), "turned.tif", transform=at)
    native = view_scene(scene_at(path))
    assert native.grid.is_rotated
    view = view_scene(scene_at(path), warp=Warp(gsd_m=10, resampling="nearest"))
    assert not view.grid.is_rotated
    pixels, valid = read_window(view, full(view))
    assert (pixels[valid] == 5).all()
    # Its ground keeps its area: 30 x 30 pixels.
    assert valid.sum() == pytest.approx(900, rel=0.03)


def test_bands_of_differing_size_need_a_decision(two_sizes: Scene) -> None:
    error = refusal(two_sizes)
    assert error.reason is Reason.BANDS_DIFFER_IN_GRID
    assert "10 x 10, 20 x 20" in error.detail
    assert view_scene(two_sizes, ("B11",)).grid.height_px == 10
    view = view_scene(two_sizes, warp=Warp(like_band="B02", resampling="nearest"))
    pixels, valid = read_window(view, full(view))
    np.testing.assert_array_equal(pixels[::2, ::2, 1], pixels[1::2, 1::2, 1])
    with rasterio.open(two_sizes.bands[0].file.path) as dataset:
        np.testing.assert_array_equal(pixels[..., 0], dataset.read(1))
    # The first pixel of each band holds 0, which is nodata.
    assert valid.sum() == 400 - 4


def test_dtypes_may_only_grow(write_raster: Any, numbered_pixels: Any) -> None:
    narrow = write_raster(numbered_pixels(9, 9, dtype="uint8"), "narrow.tif")
    wide = write_raster(numbered_pixels(9, 9, dtype="int16"), "wide.tif")
    files = (BandFile(str(narrow), ("a",)), BandFile(str(wide), ("b",)))
    scene = open_scene(SceneSource("scene", files))
    assert refusal(scene).reason is Reason.BANDS_DIFFER_IN_DTYPE
    assert refusal(scene, dtype="uint8").reason is Reason.LOSSY_DTYPE
    pixels, _ = read_window(view_scene(scene, dtype="int32"), Window(0, 0, 9, 9))
    np.testing.assert_array_equal(pixels, numbered_pixels(9, 9, dtype="int32").repeat(2, axis=2))


def test_metres_need_a_metric_system(
    write_raster: Any, numbered_pixels: Any, scene_at: Any
) -> None:
    degrees = Affine(0.001, 0, 10, 0, -0.001, 50)
    path = write_raster(numbered_pixels(9, 9), "deg.tif", crs="EPSG:4326", transform=degrees)
    assert refusal(scene_at(path), warp=Warp(gsd_m=10)).reason is Reason.NOT_METRIC
    no_map = write_raster(numbered_pixels(9, 9), "none.tif", crs=None)
    error = refusal(scene_at(no_map, without_map=True), warp=Warp(crs="EPSG:32632"))
    assert error.reason is Reason.NO_CRS


def test_two_masks_in_one_file_cannot_be_warped(write_raster: Any, scene_at: Any) -> None:
    mask = np.ones((4, 4), bool)
    path = write_raster(np.ones((4, 4, 1), "uint8"), "both.tif", nodata=0, mask=mask)
    assert refusal(scene_at(path), warp=Warp(gsd_m=5)).reason is Reason.CANNOT_WARP


def test_a_class_raster_is_laid_on_a_scene(
    shared_data: Callable[[str], Path], scene_at: Callable[..., Scene]
) -> None:
    """Land cover of 3 km pixels in Albers, on a 1 km grid of UTM, against pyproj."""
    classes = scene_at(shared_data("geotiff_multiband") / "stars_nlcd_lc.tif")
    source = classes.bands[0].file.grid
    target = view_scene(classes, warp=Warp(crs="EPSG:3857", gsd_m=1000)).grid
    view = view_on(classes, target)
    pixels, valid = read_window(view, full(view))
    rows, cols = in_source(view, 5070, source.transform)
    with rasterio.open(classes.bands[0].file.path) as dataset:
        truth = dataset.read(1)
    inside = within(rows, cols, truth.shape)
    expected = truth[rows[inside].astype(int), cols[inside].astype(int)]
    assert (pixels[inside, 0] == expected).mean() > 0.999
    assert (valid != inside).mean() < 0.001


def test_a_mask_without_a_place_fits_by_its_size(
    shared_data: Callable[[str], Path], scene_at: Callable[..., Scene]
) -> None:
    folder = shared_data("aerial_detection") / "spacenet_buildings"
    scene = scene_at(folder / "sample_geotiff.tif")
    mask = scene_at(folder / "sample_fp_mask_from_geojson.tif", without_map=True)
    grid = view_scene(scene).grid
    view = view_on(mask, grid)
    assert view.grid == grid
    assert view.resampling is None
    smaller = view_scene(scene, warp=Warp(gsd_m=2)).grid
    with pytest.raises(SceneRejected, match="900 x 900 pixels have no place"):
        view_on(mask, smaller)
