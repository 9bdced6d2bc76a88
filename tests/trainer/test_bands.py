import numpy as np
import pytest

from components.raster.errors import DataError
from tests.trainer.rasters import BANDS, serialized, toy_example, toy_tile, write_records
from trainer.data.bands import band_scale
from trainer.models.standardise import Standardise


def test_the_scale_is_that_of_all_valid_pixels_together(tmp_path):
    random = np.random.default_rng(0)
    tiles = [toy_tile(number % 3 == 0, random) for number in range(300)]
    tiles.append((np.full((8, 40, 4), 5000, np.uint16), np.ones((8, 40), bool)))
    files = [
        write_records(tmp_path / f"{part}", [toy_example(*tile, 0) for tile in tiles[part::2]])
        for part in range(2)
    ]
    pixels = np.concatenate([pixels[valid] for pixels, valid in tiles]).astype(float)
    scale = band_scale(files, ("nir", "blue"))
    np.testing.assert_allclose(scale.mean, pixels.mean(axis=0)[[3, 0]], rtol=1e-6)
    np.testing.assert_allclose(scale.stddev, pixels.std(axis=0)[[3, 0]], rtol=1e-5)


def test_an_example_without_valid_pixels_says_nothing(tmp_path):
    nothing = {"image/mean_a": [float("nan")], "image/stddev_a": [float("nan")]}
    something = {"image/mean_a": [3.0], "image/stddev_a": [2.0]}
    file = write_records(tmp_path / "records", [serialized(nothing), serialized(something)])
    scale = band_scale([file], ("a",))
    assert (scale.mean, scale.stddev) == ((3.0,), (2.0,))


def test_a_band_that_was_not_ingested_is_reported(tmp_path):
    tile = toy_tile(0, np.random.default_rng(0))
    file = write_records(tmp_path / "records", [toy_example(*tile, 0)])
    with pytest.raises(DataError, match=r"image/mean_swir and .*image\.bands"):
        band_scale([file], (*BANDS, "swir"))


def test_files_without_examples_are_reported(tmp_path):
    with pytest.raises(DataError, match="hold no example"):
        band_scale([write_records(tmp_path / "records", [])], BANDS)


def test_bands_are_standardised_and_no_data_is_their_mean():
    pixels = np.array([[[[10.0, 7.0], [np.nan, np.nan], [16.0, 7.0]]]], np.float32)
    layer = Standardise(mean=(12.0, 7.0), stddev=(2.0, 0.0))
    expected = [[[[-1, 0], [0, 0], [2, 0]]]]
    assert np.array_equal(layer(pixels), expected)
    again = Standardise.from_config(layer.get_config())
    assert np.array_equal(again(pixels), expected)
