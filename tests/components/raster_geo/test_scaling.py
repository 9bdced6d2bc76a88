"""Scale and offset, from files and catalogues to tiles; rasterio as the oracle."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import rasterio

from components.raster.pictures.overview import scene_picture
from components.raster.reasons import Reason
from components.raster.scaling import Scaling, scaling_of
from components.raster.scene.probe import open_scene
from components.raster.scene.rejects import SceneRejected
from components.raster.scene.scene import BandFile, Scene, SceneSource
from components.raster.tiles.key import Window
from components.raster.tiles.parts import whole
from components.raster.tiles.reading import read_chip, read_tiles, read_window
from components.raster.tiles.tile import Tile
from components.raster.tiles.tiling import Tiling, plan_tiles
from components.raster.tiles.view import Warp, view_scene

SCALES, OFFSETS = (1e-4, 2.75e-5), (-0.1, -0.2)


@pytest.fixture
def tagged(write_raster: Any) -> Any:
    """Writes a raster whose bands have a scale and an offset."""

    def write(
        pixels: npt.NDArray[Any],
        name: str,
        scales: tuple[float, ...] = SCALES,
        offsets: tuple[float, ...] = OFFSETS,
        **profile: Any,
    ) -> Path:
        path: Path = write_raster(pixels, name, **profile)
        with rasterio.open(path, "r+") as dataset:
            dataset.scales, dataset.offsets = scales, offsets
        return path

    return write


def scene_of(path: Path, **given: Any) -> Scene:
    file = BandFile(str(path), scalings=given.pop("scalings", ()))
    return open_scene(SceneSource("scene", (file,)), **given)


def rejected(path: Path, **given: Any) -> SceneRejected:
    values = given.pop("values", None)
    with pytest.raises(SceneRejected) as caught:
        view_scene(scene_of(path, **given), values=values)
    return caught.value


def by_rasterio(path: Path) -> npt.NDArray[np.float64]:
    with rasterio.open(path) as dataset:
        numbers = dataset.read().astype(np.float64)
        scales, offsets = np.array(dataset.scales), np.array(dataset.offsets)
    values = numbers * scales[:, None, None] + offsets[:, None, None]
    return values.transpose(1, 2, 0)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "uint32", "float32"])
def test_scaled_tiles_are_rasterio_s_numbers_times_scale_plus_offset(
    tagged: Any, numbered_pixels: Any, dtype: str
) -> None:
    path = tagged(numbered_pixels(70, 90, 2, dtype=dtype), f"{dtype}.tif")
    view = view_scene(scene_of(path), values="scaled")
    wanted = by_rasterio(path)
    plan = plan_tiles("scene", view.grid, Tiling(size_px=32))
    tiles = list(read_tiles(view, whole(plan)))
    assert len(tiles) == 9
    for tile in tiles:
        assert isinstance(tile, Tile)
        assert (tile.pixels.dtype, tile.valid_fraction > 0) == (np.float32, True)
        inside = tile.key.window.intersection(Window(0, 0, 70, 90))
        found = tile.pixels[: inside.height, : inside.width]
        np.testing.assert_allclose(found, wanted[inside.slices], rtol=1e-6, atol=1e-7)


def test_stored_numbers_stay_as_they_are(tagged: Any, numbered_pixels: Any) -> None:
    pixels = numbered_pixels(20, 20, 2)
    path = tagged(pixels, "stored.tif")
    for values in (None, "stored"):
        view = view_scene(scene_of(path), values=values)  # type: ignore[arg-type]
        found, _ = read_window(view, Window(0, 0, 20, 20))
        np.testing.assert_array_equal(found, pixels)
        assert found.dtype == np.uint16


def test_nodata_is_recognised_before_numbers_are_scaled(tagged: Any) -> None:
    pixels = np.full((8, 8, 2), 1000, np.int16)  # number 1000 is the value 0 of the first band
    pixels[0] = 0
    path = tagged(pixels, "nodata.tif", nodata=0)
    view = view_scene(scene_of(path), values="scaled")
    padded, valid = read_window(view, Window(0, 0, 10, 8))
    np.testing.assert_array_equal(valid[:8], pixels.all(axis=2))
    assert not valid[8:].any()
    np.testing.assert_allclose(padded[1, 1], [0, -0.1725], atol=1e-7)
    np.testing.assert_allclose(padded[9, 1], OFFSETS, rtol=1e-6)  # nodata, as elsewhere in tiles


def test_a_warp_resamples_numbers_and_scales_the_outcome(tagged: Any) -> None:
    pixels = np.random.default_rng(0).integers(500, 4000, (64, 64, 2)).astype(np.uint16)
    pixels[:8] = 0
    path = tagged(pixels, "warped.tif", nodata=0)
    warp = Warp(gsd_m=20, resampling="average")
    window = Window(0, 0, 32, 32)
    numbers, valid = read_window(view_scene(scene_of(path), warp=warp), window)
    values, of_values = read_window(view_scene(scene_of(path), warp=warp, values="scaled"), window)
    np.testing.assert_array_equal(of_values, valid)
    assert 0 < np.count_nonzero(valid) < valid.size
    wanted = numbers.astype(np.float64) * SCALES + OFFSETS
    np.testing.assert_allclose(values[valid], wanted[valid], rtol=1e-6, atol=1e-7)


def test_bands_of_several_dtypes_need_no_dtype_once_they_are_scaled(
    tagged: Any, write_raster: Any
) -> None:
    stored = tagged(np.full((8, 8, 1), 3000, np.uint16), "dn.tif", (1e-4,), (-0.1,))
    height = write_raster(np.full((8, 8, 1), -12.5, np.float32), "height.tif")
    files = tuple(BandFile(str(path), (path.stem,)) for path in (stored, height))
    tile = read_chip(view_scene(open_scene(SceneSource("scene", files)), values="scaled"))
    assert isinstance(tile, Tile)
    np.testing.assert_allclose(tile.pixels[0, 0], [0.2, -12.5], rtol=1e-6)


def test_integers_without_a_scale_have_no_values(write_raster: Any) -> None:
    plain = write_raster(np.full((8, 8, 1), 3000, np.uint16), "plain.tif")
    error = rejected(plain, values="scaled")
    assert error.reason is Reason.NO_SCALE
    assert "Set scale (and offset) yourself, or values: stored" in error.detail
    view = view_scene(scene_of(plain, scaling=Scaling(1e-4, -0.1)), values="scaled")
    found, _ = read_window(view, Window(0, 0, 8, 8))
    np.testing.assert_allclose(found, 0.2, rtol=1e-6)


def test_floats_without_a_scale_are_values(write_raster: Any) -> None:
    pixels = np.random.default_rng(0).random((8, 8, 1)).astype(np.float32)
    view = view_scene(scene_of(write_raster(pixels, "values.tif")), values="scaled")
    np.testing.assert_array_equal(read_window(view, Window(0, 0, 8, 8))[0], pixels)


def test_scaled_values_are_of_floats(tagged: Any, numbered_pixels: Any) -> None:
    scene = scene_of(tagged(numbered_pixels(8, 8, 2), "floats.tif"))
    with pytest.raises(SceneRejected, match="uint16 cannot hold scaled values. Set float32"):
        view_scene(scene, values="scaled", dtype="uint16")


def test_a_catalogue_s_scale_stands_in_for_the_file_s(
    write_raster: Any, tagged: Any, numbered_pixels: Any
) -> None:
    plain = write_raster(numbered_pixels(8, 8, 2), "told.tif")
    one, two = Scaling(1e-4, -0.1), Scaling(1e-4, 0)
    assert [band.scaling for band in scene_of(plain, scalings=(one,)).bands] == [one, one]
    assert [band.scaling for band in scene_of(plain, scalings=(one, two)).bands] == [one, two]
    in_32_bits = tagged(numbered_pixels(8, 8, 2), "32.tif", (float(np.float32(1e-4)),) * 2, (0, 0))
    assert scene_of(in_32_bits, scalings=(two,)).bands[0].scaling == two
    error = rejected(in_32_bits, scalings=(one,))
    assert error.reason is Reason.BAD_METADATA
    assert "the file says number * 0.0001, the metadata beside it number * 0.0001 - 0.1" in str(
        error
    )
    three = write_raster(numbered_pixels(8, 8, 3), "three.tif")
    assert "scale and offset of 2 of 3 bands" in rejected(three, scalings=(one, two)).detail
    given = Scaling(0.5, 7)
    assert scene_of(in_32_bits, scalings=(one,), scaling=given).bands[0].scaling == given


def test_a_scale_that_cannot_be_applied_is_reported(tagged: Any, numbered_pixels: Any) -> None:
    path = tagged(numbered_pixels(8, 8), "zero.tif", (0.0,), (5.0,))
    error = rejected(path)
    assert error.reason is Reason.BAD_METADATA
    assert "scale 0.0 and offset 5.0 cannot be applied" in error.detail
    for scale, offset in [(float("nan"), 0), (1, float("inf")), ("much", 0), ({}, 0)]:
        with pytest.raises(ValueError, match="cannot be applied"):
            scaling_of(scale, offset)
    assert scaling_of("0.5", None) == (0.5, 0)
    assert scaling_of(None, -1) == (1, -1)


def test_a_reduced_picture_of_scaled_values_is_that_of_the_numbers(
    tagged: Any, numbered_pixels: Any
) -> None:
    scene = scene_of(tagged(numbered_pixels(100, 80, 2), "picture.tif", nodata=7))
    plain, scaled = (
        scene_picture(view_scene(scene, values=values), (0,), side_px=20)  # type: ignore[arg-type]
        for values in ("stored", "scaled")
    )
    assert np.abs(plain.astype(int) - scaled).max() <= 1
