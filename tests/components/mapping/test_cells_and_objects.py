"""Maps of one answer for a tile, and maps of objects, over made scenes with known answers."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import rasterio
import rasterio.features
import shapely
from PIL import Image

from components.mapping.config import MapConfig
from components.mapping.maps import map_scene
from components.raster.errors import ConfigError
from serving.tasks.detection.answer import BOX_LABELS_OUTPUT, BOX_SCORES_OUTPUT, BOXES_OUTPUT
from tests.components.mapping.networks import NORTH_UP, Network, contract_of, write_scene


class MeanOfTile(Network):
    """Class 0 up to a mean of 500, else class 1; the probability is 0.9. Or the mean itself."""

    def answer(self, tiles, view):
        self.asked += [tile.key for tile in tiles]
        means = np.array([tile.pixels[tile.valid].mean() for tile in tiles], np.float32)
        high = (means > 500).astype(np.float32)
        sure = np.stack([0.9 - 0.8 * high, 0.1 + 0.8 * high], axis=1)
        return {"probabilities": sure, "value": means}


class Rectangles(Network):
    """Finds rectangles of numbers from 500 on, each with the score 0.8, in tiles."""

    def answer(self, tiles, view):
        self.asked += [tile.key for tile in tiles]
        found = [self._in(tile) for tile in tiles]
        most = max(1, *map(len, found))
        boxes, labels = np.zeros((len(tiles), most, 4)), np.full((len(tiles), most), -1)
        for number, own in enumerate(found):
            boxes[number, : len(own)] = np.reshape(own, (-1, 4))
            labels[number, : len(own)] = 0
        return {
            BOXES_OUTPUT: boxes,
            BOX_LABELS_OUTPUT: labels,
            BOX_SCORES_OUTPUT: np.where(labels >= 0, 0.8, 0.0),
        }

    def _in(self, tile):
        bright = (tile.pixels[..., 0] >= 500).astype(np.uint8)
        shapes = rasterio.features.shapes(bright, mask=bright > 0)
        bounds = (shapely.geometry.shape(it).bounds for it, _ in shapes)
        return [[top, left, bottom, right] for left, top, right, bottom in bounds]


def ground():
    pixels = np.full((100, 160), 100, np.uint16)
    pixels[32:64, 96:] = 900
    pixels[:32, :32] = 0
    return pixels


def make(tmp_path, network, pixels, **settings):
    source = write_scene(tmp_path / "scene.tif", pixels)
    return map_scene(source, network, MapConfig.model_validate(settings), tmp_path / "maps")


def read(found, name):
    with rasterio.open(found.folder / f"{name}.tif") as dataset:
        return dataset.read(), dataset.transform


def test_a_classifier_gives_a_cell_for_each_tile(tmp_path):
    network = MeanOfTile(contract_of(("low", "high"), task="single_label"))
    found = make(tmp_path, network, ground())
    classes, transform = read(found, "classes")
    expected = np.zeros((4, 5), np.uint8)
    expected[1, 3:] = 1
    expected[0, 0] = 255
    np.testing.assert_array_equal(classes[0], expected)
    assert transform == NORTH_UP * NORTH_UP.scale(32)
    assert (read(found, "confidence")[0][0][expected != 255] == 225).all()  # 0.9 / 0.004
    table = pq.read_table(found.folder / "cells.parquet").to_pydict()
    assert len(table["class"]) == 19
    row = table["class"].index("high")
    assert shapely.from_wkb(table["geometry"][row]).bounds == (
        500_960,
        5_299_360,
        501_280,
        5_299_680,
    )
    assert table["p_high"][row] == pytest.approx(0.9)
    assert {"map.png", "item.json"} <= set(found.files)


def test_cells_of_overlapping_tiles_lie_in_their_middle(tmp_path):
    network = MeanOfTile(contract_of(("low", "high"), task="single_label"))
    found = make(tmp_path, network, ground(), overlap=0.5)
    classes, transform = read(found, "classes")
    assert classes[0].shape == (6, 9)  # tiles at 0, 16, ...; the last row reaches row 112
    assert (transform.c, transform.f) == (500_080, 5_299_920)  # 8 pixels from the corner
    assert transform.a == 160
    assert classes[0][2, 6] == 1  # the tile from row 32 and column 96
    assert classes[0][0, 0] == 255
    item = json.loads((found.folder / "item.json").read_text())
    for name in ("classes", "confidence", "probabilities"):
        with rasterio.open(found.folder / f"{name}.tif") as dataset:
            assert item["assets"][name]["proj:shape"] == list(dataset.shape)
            assert item["assets"][name]["proj:transform"] == list(dataset.transform)[:6]


def test_several_classes_and_numbers(tmp_path):
    (tmp_path / "labels").mkdir()
    several = MeanOfTile(contract_of(("low", "high"), task="multi_label"))
    present, _ = read(make(tmp_path / "labels", several, ground()), "present")
    assert present[:, 1, 3].tolist() == [0, 1]
    assert present[:, 3, 0].tolist() == [1, 0]
    assert present[:, 0, 0].tolist() == [255, 255]
    numbers = MeanOfTile(contract_of((), task="regression"))
    found = make(tmp_path, numbers, ground())
    values, _ = read(found, "values")
    assert (values[0, 1, 3], values[0, 3, 0]) == (900, 100)
    assert np.isnan(values[0, 0, 0])
    assert pq.read_table(found.folder / "cells.parquet").column_names[0] == "value"


def objects_of(found):
    table = pq.read_table(found.folder / "objects.parquet").to_pydict()
    shapes = shapely.from_wkb(table["geometry"])
    return table, sorted(tuple(map(round, it.bounds)) for it in shapes)


@pytest.fixture
def rectangles():
    """Rectangles (top, left, bottom, right) on the borders of tiles, at corners, across tiles."""
    boxes = [(20, 20, 30, 30), (40, 5, 52, 9), (24, 70, 26, 150), (90, 150, 100, 160)]
    pixels = np.full((100, 160), 100, np.uint16)
    for top, left, bottom, right in boxes:
        pixels[top:bottom, left:right] = 900
    expected = sorted(
        (500_000 + 10 * left, 5_300_000 - 10 * bottom, 500_000 + 10 * right, 5_300_000 - 10 * top)
        for top, left, bottom, right in boxes
    )
    return pixels, expected


def test_objects_are_merged_across_tiles_and_placed_on_the_map(tmp_path, rectangles):
    pixels, expected = rectangles
    network = Rectangles(contract_of(("roof",), task="detection"))
    found = make(tmp_path, network, pixels, checkpoint_s=0)
    table, bounds = objects_of(found)
    assert bounds == expected
    assert set(table["class"]) == {"roof"}
    assert table["score"] == [0.8] * 4


class OfMiddleSize(Rectangles):
    """Finds rectangles that take a tenth to two thirds of a tile's side."""

    def _in(self, tile):
        side = len(tile.pixels)
        scale = self.contract.image.height_px / side  # boxes are in pixels of the model's input
        return [
            [edge * scale for edge in box]
            for box in super()._in(tile)
            if all(side / 10 <= box[axis + 2] - box[axis] <= side * 2 / 3 for axis in (0, 1))
        ]


@pytest.mark.parametrize(
    ("scales", "found"), [("1", ["small"]), ("0.5", ["large"]), ("1,0.5", ["large", "small"])]
)
def test_objects_of_different_sizes_are_found_at_different_scales(tmp_path, scales, found):
    boxes = {"small": (20, 100, 26, 106), "large": (40, 30, 80, 70)}
    pixels = np.full((100, 160), 100, np.uint16)
    for top, left, bottom, right in boxes.values():
        pixels[top:bottom, left:right] = 900
    network = OfMiddleSize(contract_of(("roof",), task="detection"))
    made = make(tmp_path, network, pixels, scales=scales.split(","))
    expected = sorted(
        (500_000 + 10 * left, 5_300_000 - 10 * bottom, 500_000 + 10 * right, 5_300_000 - 10 * top)
        for top, left, bottom, right in (boxes[name] for name in found)
    )
    assert objects_of(made)[1] == expected


def test_a_run_killed_at_its_second_scale_is_continued_there(tmp_path, rectangles, monkeypatch):
    monkeypatch.setattr("components.raster.tiles.reading._UNIT_BYTES", 1)
    network = Rectangles(contract_of(("roof",), task="detection"))
    source = write_scene(tmp_path / "scene.tif", rectangles[0], block=16)
    config = MapConfig(scales=(1, 0.5), checkpoint_s=0)
    whole = map_scene(source, network, config, tmp_path / "whole")
    all_asked, network.asked = network.asked, []

    def kill(done, total):
        if done == total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        map_scene(source, network, config, tmp_path / "maps", on_progress=kill)
    network.asked = []
    again = map_scene(source, network, config, tmp_path / "maps")
    assert 0 < len(network.asked) < sum(key.window.height == 64 for key in all_asked)
    one, other = (it.folder / "objects.parquet" for it in (whole, again))
    assert one.read_bytes() == other.read_bytes()


def test_only_objects_are_looked_for_at_several_scales(tmp_path):
    network = MeanOfTile(contract_of((), task="regression"))
    with pytest.raises(ConfigError, match="only objects can be merged across scales"):
        make(tmp_path, network, ground(), scales=(1, 0.5))


class Everywhere(Rectangles):
    """Finds the same boxes in every tile, whatever is there."""

    BOXES = ((4, 4, 8, 8), (20, 20, 26, 26))

    def _in(self, tile):
        return self.BOXES


def test_objects_are_not_where_nothing_is_known(tmp_path):
    pixels = np.full((64, 96), 500, np.uint16)
    pixels[:21, :21] = 0  # all of the first box, and of the second one a corner
    network = Everywhere(contract_of(("roof",), task="detection"))
    found = make(tmp_path, network, pixels, overlap=0)
    expected = [
        (500_000 + 10 * left, 5_300_000 - 10 * bottom, 500_000 + 10 * right, 5_300_000 - 10 * top)
        for row in (0, 32)
        for col in (0, 32, 64)
        for top, left, bottom, right in np.add(Everywhere.BOXES, (row, col, row, col)).tolist()
        if (top, left) != (4, 4)
    ]
    assert len(expected) == 11
    assert objects_of(found)[1] == sorted(expected)


def test_the_picture_shows_objects_over_the_scene(tmp_path, rectangles):
    pixels, _ = rectangles
    found = make(tmp_path, Rectangles(contract_of(("roof",), task="detection")), pixels)
    with Image.open(found.folder / "map.png") as image:
        shown = np.asarray(image.convert("RGB"))
    left, top, width, height = 12, 34, 320, 200  # the scene's 160 x 100 pixels, enlarged twice
    scene = shown[top : top + height, left : left + width]
    answer = shown[top : top + height, left + width + 12 : left + 2 * width + 12]
    differs = (scene != answer).any(axis=-1)
    outlines = np.zeros((100, 160), np.bool_)
    for box in ((20, 20, 30, 30), (40, 5, 52, 9), (24, 70, 26, 150), (90, 150, 100, 160)):
        first, begin, last, end = box
        outlines[first:last, begin:end] = True
        outlines[first + 1 : last - 1, begin + 1 : end - 1] = False
    np.testing.assert_array_equal(differs, np.kron(outlines, np.ones((2, 2), np.bool_)))


def test_objects_as_points_and_worse_ones_left_out(tmp_path, rectangles):
    pixels, expected = rectangles
    network = Rectangles(contract_of(("roof",), task="detection"))
    found = make(tmp_path, network, pixels, points=True)
    _, bounds = objects_of(found)
    left, bottom, right, top = expected[0]
    assert bounds[0][:2] == ((left + right) / 2, (bottom + top) / 2)
    none = make(tmp_path / "maps", network, pixels, min_score=0.85)
    assert objects_of(none)[1] == []


def test_a_killed_run_keeps_the_objects_and_cells_that_it_found(tmp_path, rectangles, monkeypatch):
    monkeypatch.setattr("components.raster.tiles.reading._UNIT_BYTES", 1)
    pixels, _ = rectangles
    for network, name in (
        (Rectangles(contract_of(("roof",), task="detection")), "objects"),
        (MeanOfTile(contract_of((), task="regression")), "cells"),
    ):
        folder = tmp_path / name
        folder.mkdir()
        source = write_scene(folder / "scene.tif", pixels, block=16)
        config = MapConfig(checkpoint_s=0)
        whole = map_scene(source, network, config, folder / "whole")
        network.asked = []

        def kill(done, total):
            if done > total / 2:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            map_scene(source, network, config, folder / "maps", on_progress=kill)
        before = len(network.asked)
        again = map_scene(source, network, config, folder / "maps")
        assert len(network.asked) - before < before
        one, other = (it.folder / f"{name}.parquet" for it in (whole, again))
        assert one.read_bytes() == other.read_bytes()
