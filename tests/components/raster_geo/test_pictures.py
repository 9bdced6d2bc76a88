"""Pictures: stretches by numpy's percentiles, and drawings pixel by pixel."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine

from components.raster.errors import DataError
from components.raster.pictures.colours import class_colours
from components.raster.pictures.fonts import font
from components.raster.pictures.overview import scene_picture, with_tiles
from components.raster.pictures.sheet import (
    Card,
    _fitted,
    _lines,
    contact_sheet,
    legend_of,
    mask_picture,
    with_boxes,
    with_mask,
)
from components.raster.pictures.split_map import SPLIT_COLOURS, split_map
from components.raster.pictures.stretch import (
    NODATA_RGB,
    Stretch,
    choose_bands,
    picture_of,
    stretch_of,
)
from components.raster.scene.grid import Grid
from components.raster.scene.scene import Scene
from components.raster.spatial.places import places_of
from components.raster.tiles.key import TileKey, Window
from components.raster.tiles.tiling import Tiling, plan_tiles
from components.raster.tiles.view import View, view_scene


def test_a_stretch_is_of_valid_pixels_at_the_percentiles() -> None:
    pixels = np.arange(64 * 64, dtype="uint16").reshape(64, 64, 1)
    valid = pixels[..., 0] >= 1000
    found = stretch_of([(pixels, valid)], (0,))
    expected = np.percentile(pixels[valid], [2, 98])
    assert (found.low[0], found.high[0]) == pytest.approx(tuple(expected))
    picture = picture_of(pixels, valid, (0,), found)
    values = (pixels[..., 0] - expected[0]) / (expected[1] - expected[0]) * 255
    np.testing.assert_array_equal(
        picture[valid][:, 0], np.rint(np.clip(values, 0, 255)).astype("uint8")[valid]
    )
    assert (picture[~valid] == NODATA_RGB).all()
    assert stretch_of([(pixels, valid)], (0,), low_percent=0, high_percent=100) == Stretch(
        (1000.0,), (4095.0,)
    )


def test_bands_are_stretched_on_their_own_and_in_order() -> None:
    pixels = np.zeros((2, 2, 3), "float32")
    pixels[..., 0] = [[0, 1], [2, 3]]
    pixels[..., 2] = [[-10, 0], [10, 20]]
    valid = np.ones((2, 2), bool)
    stretch = stretch_of([(pixels, valid)], (2, 1, 0), low_percent=0, high_percent=100)
    assert stretch == Stretch((-10, 0, 0), (20, 0, 3))
    picture = picture_of(pixels, valid, (2, 1, 0), stretch)
    assert picture[0, 0].tolist() == [0, 128, 0]
    assert picture[1, 1].tolist() == [255, 128, 255]


def test_a_picture_of_nothing_is_all_nodata() -> None:
    pixels = np.full((4, 4, 1), np.nan, "float32")
    valid = np.zeros((4, 4), bool)
    picture = picture_of(pixels, valid, (0,), stretch_of([(pixels, valid)], (0,)))
    assert (picture == NODATA_RGB).all()


def test_bands_to_show_are_named_or_the_first() -> None:
    assert choose_bands(("a", "b", "c", "d")) == (0, 1, 2)
    assert choose_bands(("a", "b")) == (0,)
    assert choose_bands(("a", "b", "c"), ("c", 1, "b")) == (2, 0, 1)
    with pytest.raises(ValueError, match="no band 'x'; there are a, b"):
        choose_bands(("a", "b"), ("x",))


def test_a_sheet_shows_every_card_unaltered_when_it_fits() -> None:
    colours = [(10, 20, 30), (40, 50, 60), (70, 80, 90)]
    cards = [Card(np.full((16, 16, 3), c, np.uint8), "text " * 20) for c in colours]
    cards[1] = Card(cards[1].picture, "reject", alarm=True)
    sheet = np.asarray(contact_sheet(cards, columns=2, side_px=32))
    assert sheet.shape == (2 * (32 + 2 * 14 + 6) + 6, 2 * (32 + 6) + 6, 3)
    assert sheet[6 + 16, 6 + 16].tolist() == [10, 20, 30]
    assert sheet[6 + 16, 6 + 38 + 16].tolist() == [40, 50, 60]
    assert sheet[6 + 66 + 16, 6 + 16].tolist() == [70, 80, 90]
    assert sheet[5, 6 + 38 + 16].tolist() == [220, 40, 40]
    assert contact_sheet([]).size[0] > 0


def test_boxes_and_masks_are_drawn_where_they_are() -> None:
    grey = np.full((20, 20, 3), 100, np.uint8)
    drawn = with_boxes(grey, np.array([[2, 3, 8, 12]], np.float32), [1])
    outline = (drawn == class_colours(3)[1]).all(axis=2)
    assert outline[2, 3:12].all()
    assert outline[7, 3:12].all()
    assert outline.sum() == 2 * 9 + 2 * 4
    mask = np.full((20, 20), 255, np.uint8)
    mask[5, 5] = 0
    mixed = with_mask(grey, mask, 255, weight=1.0)
    assert mixed[5, 5].tolist() == list(class_colours(3)[0])
    assert (mixed[6] == 100).all()
    assert mask_picture(mask == 0)[5, 5].tolist() == [255, 255, 255]


def test_a_scene_is_shown_small_with_its_tiles(
    shared_data: Callable[[str], Path], scene_at: Callable[..., Any]
) -> None:
    path = shared_data("geotiff_multiband") / "riotiler_cog_nodata.tif"
    view = view_scene(scene_at(path))
    picture = scene_picture(view, (0,), side_px=256)
    assert picture.shape == (256, 255, 3)
    with rasterio.open(path) as dataset:
        small = dataset.read(1, out_shape=(256, 255))
    np.testing.assert_array_equal((picture == NODATA_RGB).all(axis=2), small == 1)
    plan = plan_tiles("scene", view.grid, Tiling(size_px=512, edge="snap"))
    rejected = [TileKey("scene", Window(0, 0, 512, 512))]
    drawn = np.asarray(with_tiles(picture, (2667, 2658), plan.keys(), rejected))
    assert drawn[0, 0].tolist() == [220, 40, 40]
    assert drawn[49, 120].tolist() == [255, 220, 0]


def test_a_scene_smaller_than_its_picture_is_shown_as_it_is(
    shared_data: Callable[[str], Path], scene_at: Callable[..., Any]
) -> None:
    path = shared_data("geotiff_multiband") / "riotiler_cog_rgb_mask.tif"
    picture = scene_picture(view_scene(scene_at(path)), (0, 1, 2))
    with rasterio.open(path) as dataset:
        invalid = dataset.dataset_mask() == 0
    np.testing.assert_array_equal((picture == NODATA_RGB).all(axis=2), invalid)


def test_a_map_has_each_splits_colour_where_its_tiles_are() -> None:
    grid = Grid(640, 640, Affine(10, 0, 500_000, 0, -10, 5_300_000), "EPSG:32632")
    view = View(Scene("s", ()), (), grid, "uint8")
    places = places_of(view, plan_tiles("s", grid, Tiling(size_px=320)).keys())
    drawn = np.asarray(split_map(places, ["train", "eval", "test", None], side_px=500))
    quarter, three = 16 + 117, 16 + 351
    assert drawn[quarter, quarter].tolist() == list(SPLIT_COLOURS["train"])
    assert drawn[quarter, three].tolist() == list(SPLIT_COLOURS["eval"])
    assert drawn[three, quarter].tolist() == list(SPLIT_COLOURS["test"])
    assert drawn[three, three].tolist() == [190, 190, 190]
    nowhere = Grid(64, 64, Affine.identity(), None)
    lost = places_of(View(Scene("s", ()), (), nowhere, "uint8"), [TileKey("s", Window(0, 0, 8, 8))])
    with pytest.raises(DataError, match="No tile has a place"):
        split_map(lost, ["train"])


def test_no_two_classes_share_a_colour() -> None:
    colours = class_colours(255)
    assert len(set(colours)) == 255
    assert colours[:3] == class_colours(3)


def test_the_legend_shows_every_class_in_its_colour_and_whole() -> None:
    classes = [f"a class with a rather long name, number {number}" for number in range(12)]
    card = Card(np.zeros((8, 8, 3), np.uint8), "one")
    sheet = np.asarray(contact_sheet([card], side_px=64, legend=legend_of(classes)))
    for colour in class_colours(12):
        assert (sheet == colour).all(axis=2).sum() >= 100  # a swatch of 10 x 10 pixels
    assert (sheet[:, -2:] < 40).all(), "nothing is drawn up to the edge: no name is cut"


def test_a_caption_that_is_too_long_keeps_both_of_its_ends() -> None:
    lines = _lines("train 2024/north/orthophoto_of_a_long_name_tile_0042.tif", font(11), 128)
    assert len(lines) == 2
    text = "".join(lines).replace(" ", "")
    assert text.startswith("train2024/north")
    assert text.endswith("tile_0042.tif")
    assert all(font(11).getlength(line) <= 128 for line in lines)


def test_a_picture_that_is_not_square_is_framed_and_a_square_one_is_not() -> None:
    black = np.zeros((10, 20, 3), np.uint8)
    wide, square = (np.asarray(_fitted(it, 40)) for it in (black, black[:, :10]))
    assert (wide[9] != wide[0]).any()
    assert (wide[10:30] == 0).all()
    assert (square == 0).all()
