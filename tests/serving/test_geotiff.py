"""A GeoTIFF as the payload that is sent; rasterio writes the files and reads them back."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import rasterio
from affine import Affine
from PIL import Image
from rasterio.transform import from_origin

from components.raster.errors import SkymillError
from components.raster.payload import decode_payload, read_header
from pipelines.cli.answer_files import pixel_geometry
from serving.client import read_image
from serving.client.raster_reading import RasterReading
from serving.contract.needs import ModelNeeds

BANDS = ("B02", "B03", "B04", "B08")


@pytest.fixture
def write(tmp_path):
    """Writes (H, W, C) pixels as a GeoTIFF."""

    def file(pixels, name="chip.tif", descriptions=BANDS, **profile):
        height, width, count = pixels.shape
        path = tmp_path / name
        profile |= {"height": height, "width": width, "count": count, "dtype": pixels.dtype}
        given = {
            "crs": "EPSG:32632",
            "transform": from_origin(500_000, 5_300_000, 10, 10),
            "photometric": "minisblack",  # else the fourth of four bytes would be alpha
        }
        with rasterio.open(path, "w", driver="GTiff", **(given | profile)) as dataset:
            dataset.write(pixels.transpose(2, 0, 1))
            if descriptions:
                dataset.descriptions = descriptions
        return path

    return file


def chip(dtype="uint16", shape=(11, 7, 4)):
    return np.random.default_rng(0).integers(1, 200, shape).astype(dtype)


def sent(path, **reading):
    return decode_payload(read_image(path, RasterReading(**reading)))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
def test_all_bands_go_by_their_descriptions(write, dtype):
    pixels = chip(dtype)
    payload = sent(write(pixels, name="a file of any name"))
    assert payload.bands == BANDS
    assert payload.pixels.dtype == pixels.dtype
    assert np.array_equal(payload.pixels, pixels)
    assert payload.valid.all()


def test_wanted_bands_are_named_as_they_are_wanted(write):
    pixels = chip()
    path = write(pixels, photometric="RGB")  # the first three bands are red, green and blue
    payload = sent(path, bands=("B08", "red"))
    assert payload.bands == ("B08", "red")
    assert np.array_equal(payload.pixels, pixels[:, :, [3, 0]])


def test_a_file_that_names_no_bands_can_be_given_names(write):
    pixels = chip()
    path = write(pixels, descriptions=None)
    assert sent(path).bands == ("#1", "#2", "#3", "#4")
    payload = sent(path, bands=("nir", "r"), band_names=("b", "g", "r", "nir"))
    assert payload.bands == ("nir", "r")
    assert np.array_equal(payload.pixels, pixels[:, :, [3, 2]])


def test_what_was_not_measured_is_marked(write):
    pixels = chip()
    pixels[2, 3, 1], pixels[5, 5, 3] = 255, 255
    path = write(pixels, nodata=255)
    assert np.argwhere(~sent(path).valid).tolist() == [[2, 3], [5, 5]]
    assert np.argwhere(~sent(path, bands=("B03",)).valid).tolist() == [[2, 3]]
    assert np.argwhere(~sent(path, nodata=pixels[0, 0, 0].item()).valid).size


def test_missing_bands_are_named_with_those_that_are_there(write):
    with pytest.raises(SkymillError, match=r"no band 'B11'; it has B02, B03, B04, B08"):
        sent(write(chip()), bands=("B08", "B11"))


def test_a_file_without_a_valid_pixel_is_reported(write):
    path = write(np.full((4, 4, 1), 9, np.uint8), descriptions=None, nodata=9)
    with pytest.raises(SkymillError, match="none of its pixels are valid"):
        sent(path)


def test_samples_that_a_payload_cannot_hold_are_reported(write):
    with pytest.raises(SkymillError, match=r"float64; convert them to one of uint8"):
        sent(write(chip("float64")))


@pytest.mark.parametrize("dtype", ["float64", "int64", "uint64"])
def test_samples_of_64_bits_are_sent_as_the_model_counts(write, dtype):
    pixels = chip(dtype)
    payload = sent(write(pixels), dtype="float32")
    assert payload.pixels.dtype == np.float32
    np.testing.assert_array_equal(payload.pixels, pixels)


def test_infinite_samples_are_marked(write):
    pixels = chip("float32")
    pixels[3, 4, 2], pixels[5, 0, 0] = np.inf, -np.inf
    expected = np.isfinite(pixels).all(axis=2)
    np.testing.assert_array_equal(sent(write(pixels)).valid, expected)


def test_a_south_up_file_is_sent_as_the_same_tile(write):
    pixels = chip()
    upside_down = Affine(10, 0, 500_000, 0, 10, 5_300_000 - 110)
    stored = write(pixels[::-1], name="south_up.tif", transform=upside_down)
    assert read_image(stored, RasterReading()) == read_image(write(pixels), RasterReading())


def test_a_scene_is_not_taken_for_a_tile(tmp_path):
    path = tmp_path / "scene.tif"
    size = {"height": 9000, "width": 9000, "count": 1, "dtype": "uint8"}
    with rasterio.open(
        path, "w", driver="GTiff", transform=Affine.scale(10, -10), sparse_ok=True, **size
    ):
        pass
    with pytest.raises(SkymillError, match=r"9000 x 9000 pixels of 1 bands are too many"):
        sent(path)


def test_a_broken_file_is_reported(tmp_path):
    (tmp_path / "broken.tif").write_bytes(b"II*\x00" + bytes(20))
    with pytest.raises(SkymillError, match="cannot be opened"):
        sent(tmp_path / "broken.tif")


def test_other_files_are_sent_as_they_are(tmp_path):
    (tmp_path / "photo.tif").write_bytes(b"\xff\xd8\xff whatever its name")
    assert read_image(tmp_path / "photo.tif") == b"\xff\xd8\xff whatever its name"


@pytest.mark.parametrize("name", ["photo.jpg", "photo.png"])
def test_a_picture_goes_to_a_model_of_rasters_as_ingest_of_scenes_reads_it(tmp_path, name):
    """Its colours are bands, and it lies as it is stored, whatever its EXIF tag says."""
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    Image.fromarray(chip("uint8", (11, 7, 3))).save(tmp_path / name, exif=exif)
    with rasterio.open(tmp_path / name) as dataset:
        stored = dataset.read()
    got = sent(tmp_path / name, bands=("blue", "red"))
    assert got.bands == ("blue", "red")
    assert np.array_equal(got.pixels, np.stack([stored[2], stored[0]], axis=2))
    assert pixel_geometry(tmp_path / name, is_raster=True).size_px == (11, 7)
    assert pixel_geometry(tmp_path / name).size_px == (7, 11)


def test_without_rasterio_the_client_says_what_to_install(write):
    program = (
        "import sys; sys.modules['rasterio'] = None\n"
        "from pathlib import Path\n"
        "from serving.client import read_image\n"
        "assert not {'tensorflow', 'affine', 'shapely'} & set(sys.modules)\n"
        "read_image(Path(sys.argv[1]))"
    )
    command = [sys.executable, "-c", program, str(write(chip()))]
    done = subprocess.run(command, capture_output=True, text=True)
    assert "pip install 'skymill[client,geotiff]'" in done.stderr
    assert "a raster needs rasterio, which is not installed" in done.stderr


def test_reading_a_geotiff_loads_no_tensorflow(write):
    program = (
        "import sys\nfrom pathlib import Path\nfrom serving.client import read_image\n"
        "assert read_image(Path(sys.argv[1])).startswith(b'SKYT')\n"
        "assert not {'tensorflow', 'keras', 'tfx'} & set(sys.modules)"
    )
    command = [sys.executable, "-c", program, str(write(chip()))]
    subprocess.run(command, check=True)


def test_a_model_of_values_is_sent_number_times_scale_plus_offset(write):
    path = write(chip())
    with rasterio.open(path, "r+") as dataset:
        dataset.scales, dataset.offsets = (1e-4,) * 4, (-0.1, 0, 0, -0.2)
    with rasterio.open(path) as dataset:
        numbers = dataset.read().transpose(1, 2, 0)
        wanted = numbers * np.array(dataset.scales) + np.array(dataset.offsets)
    payload = sent(path, bands=("B08", "B02"), values="scaled")
    assert (payload.values, payload.pixels.dtype) == ("scaled", np.float32)
    np.testing.assert_allclose(payload.pixels, wanted[..., [3, 0]], rtol=1e-6, atol=1e-7)
    given = sent(path, values="scaled", scale=0.5, offset=3)
    np.testing.assert_allclose(given.pixels, numbers * 0.5 + 3)
    stored = sent(path)
    assert (stored.values, stored.pixels.dtype) == ("stored", np.uint16)
    for values, stated in ((None, ("0.0001 -0.2", "0.0001 -0.1")), ("stored", None)):
        reading = RasterReading(bands=("B08", "B02"), values=values)
        assert read_header(read_image(path, reading)).scalings == stated


def test_a_file_without_a_scale_is_not_sent_to_a_model_of_values(write):
    with pytest.raises(SkymillError, match="nothing states their scale or offset. Set scale"):
        sent(write(chip()), values="scaled")


def test_a_model_s_contract_tells_the_client_to_scale(write):
    image = {"height_px": 11, "width_px": 7, "fit": "stretch", "bands": BANDS, "values": "scaled"}
    needs = ModelNeeds.of_contract(json.dumps({"image": image}))
    pixels = chip()
    reading = RasterReading(scale=0.5, offset=3).meeting(needs)
    payload = decode_payload(read_image(write(pixels), reading))
    assert payload.values == "scaled"
    np.testing.assert_allclose(payload.pixels, pixels * 0.5 + 3)


def test_a_named_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.tif")
    with pytest.raises(SkymillError, match="not a regular file"):
        read_image(tmp_path / "a.tif")
