"""Answers about pixels and objects, written where the image's own pixels lie."""

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from PIL import Image
from rasterio.transform import from_origin
from rasterio.warp import transform_geom as warp_geom

from components.raster.errors import ConfigError
from components.raster.image import ImageSpec
from pipelines.cli.answer_files import write_answer
from pipelines.cli.images import OutputPaths, image_files
from serving.tasks.detection.answer import FoundObject, ObjectsPrediction
from serving.tasks.regression.answer import NumberPrediction
from serving.tasks.segmentation.answer import ClassRasterPrediction

SPEC = ImageSpec(height_px=32, width_px=32, fit="pad")


def halves():
    """A model's answer about a wide image, padded above and below: the left half is class 1."""
    raster = np.zeros((32, 32), np.uint8)
    raster[:, :16] = 1
    return ClassRasterPrediction(raster, np.ones((32, 32), np.float32), ("soil", "lake"), 255, 3)


def one_object():
    """In the model's pixels; an image of 100 x 200 fills rows 8 to 24 of them."""
    return ObjectsPrediction((FoundObject("car", 0.75, 8, 0, 16, 16),), 3)


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.jpg"
    Image.new("RGB", (200, 100)).save(path)
    return path


@pytest.fixture
def geotiff(tmp_path):
    path = tmp_path / "scene.tif"
    profile = {"driver": "GTiff", "dtype": "uint16", "count": 1, "height": 100, "width": 200}
    place = {"crs": "EPSG:32633", "transform": from_origin(500_000, 5_300_000, 10, 10)}
    with rasterio.open(path, "w", **profile, **place) as dataset:
        dataset.write(np.ones((100, 200), np.uint16), 1)
    return path


def test_a_class_raster_of_a_photograph_is_a_png_of_its_size(photo, tmp_path):
    file = write_answer(halves(), photo, tmp_path / "out" / "photo", "pad", None)
    assert file == tmp_path / "out" / "photo_classes.png"
    picture = Image.open(file)
    assert picture.mode == "P"
    wanted = np.repeat([[1, 0]], 100, axis=1).repeat(100, axis=0)
    np.testing.assert_array_equal(np.asarray(picture), wanted)


def test_a_photograph_that_lies_on_its_side_is_written_upright(photo, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (100, 200)).save(photo, exif=exif)
    file = write_answer(halves(), photo, tmp_path / "photo", "pad", None)
    assert Image.open(file).size == (200, 100)


def test_a_class_raster_of_a_geotiff_lies_where_it_does(geotiff, tmp_path):
    file = write_answer(halves(), geotiff, tmp_path / "scene", "pad", None)
    with rasterio.open(file) as found, rasterio.open(geotiff) as asked:
        assert (found.crs, found.transform, found.shape) == (
            asked.crs,
            asked.transform,
            asked.shape,
        )
        assert found.nodata == 255
        assert found.tags(1) == {"class_0": "soil", "class_1": "lake"}
        assert (found.read(1)[:, :100] == 1).all()


def test_objects_of_a_photograph_are_in_its_pixels(photo, tmp_path):
    file = write_answer(one_object(), photo, tmp_path / "photo", "pad", SPEC)
    (found,) = json.loads(file.read_text())["objects"]
    assert (found["class"], found["score"]) == ("car", 0.75)
    assert found["box_px"] == pytest.approx([0, 0, 50, 100])
    with pytest.raises(ConfigError, match="whose size is not known here"):
        write_answer(one_object(), photo, tmp_path / "photo", "pad", None)


def test_objects_of_a_geotiff_are_on_the_map(geotiff, tmp_path):
    file = write_answer(one_object(), geotiff, tmp_path / "scene", "pad", SPEC)
    (feature,) = json.loads(file.read_text())["features"]
    assert feature["properties"]["class"] == "car"
    lonlat = np.array(feature["geometry"]["coordinates"][0])
    # The central meridian of zone 33 is 15 degrees east, and the box begins on it.
    assert lonlat[:, 0].min() == pytest.approx(15, abs=1e-6)
    metres_east = (lonlat[:, 0].max() - 15) * 111_320 * np.cos(np.radians(lonlat[0, 1]))
    assert metres_east == pytest.approx(1000, rel=0.005)


def test_other_answers_need_no_file(photo, tmp_path):
    assert write_answer(NumberPrediction(1.0, 3), photo, tmp_path / "x", "pad", None) is None


#: The transform of a map of 100 x 200 pixels, and how the file has it: its first row the
#: southernmost, its first column the easternmost, its rows the map's columns.
MAP = from_origin(500_000, 5_300_000, 10, 10)
STORED = {
    "south_up": (Affine(10, 0, 500_000, 0, 10, 5_299_000), lambda it: it[::-1]),
    "mirrored": (Affine(-10, 0, 502_000, 0, -10, 5_300_000), lambda it: it[:, ::-1]),
    "quarter_turn": (Affine(0, 10, 500_000, 10, 0, 5_299_000), lambda it: it[::-1].T),
}


@pytest.mark.parametrize("way", STORED)
def test_answers_return_in_the_orientation_of_the_file(tmp_path, way):
    """The model saw it north up: the west half is lake, and the car is in the north-west."""
    transform, turn = STORED[way]
    pixels = turn(np.zeros((100, 200), np.uint8))
    path = tmp_path / "stored.tif"
    height, width = pixels.shape
    profile = {"driver": "GTiff", "count": 1, "dtype": "uint8", "height": height, "width": width}
    with rasterio.open(path, "w", crs="EPSG:32632", transform=transform, **profile) as dataset:
        dataset.write(pixels, 1)
    file = write_answer(halves(), path, tmp_path / "out" / "stored", "pad", SPEC)
    with rasterio.open(file) as dataset:
        assert dataset.transform == transform
        lake = np.zeros((100, 200), np.uint8)
        lake[:, :100] = 1
        np.testing.assert_array_equal(dataset.read(1), turn(lake))

    file = write_answer(one_object(), path, tmp_path / "out" / "stored", "pad", SPEC)
    [feature] = json.loads(file.read_text())["features"]
    outline = warp_geom("OGC:CRS84", "EPSG:32632", feature["geometry"])
    xs, ys = zip(*outline["coordinates"][0], strict=True)
    assert (min(xs), max(xs)) == pytest.approx((500_000, 501_000), abs=0.1)
    assert (min(ys), max(ys)) == pytest.approx((5_299_500, 5_300_000), abs=0.1)
    top, left, bottom, right = feature["properties"]["box_px"]
    own = [transform * corner for corner in ((left, top), (right, bottom))]
    (west, east), (south, north) = (sorted(ends) for ends in zip(*own, strict=True))
    assert (west, east, south, north) == pytest.approx((500_000, 501_000, 5_299_500, 5_300_000))


def test_of_a_folder_hidden_files_are_left_out_and_links_followed(tmp_path):
    for name in ("in/b.tif", "in/.a.tif", "in/.h/a.tif", "in/x.txt", "else/c.PNG"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "in" / "link").symlink_to(tmp_path / "else")
    places = OutputPaths()
    found = list(image_files((tmp_path / "in",), places))
    assert found == [tmp_path / "in" / "b.tif", tmp_path / "in" / "link" / "c.PNG"]
    assert [places[path] for path in found] == [Path("b"), Path("link/c")]
