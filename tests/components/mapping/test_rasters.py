"""Overviews of rasters: numbers worked out by hand, and GDAL's own."""

import numpy as np
import rasterio
from rasterio.shutil import copy

from components.mapping.rasters import RasterSpec, Scratch, half_of
from components.raster.scene.grid import Grid
from components.raster.tiles.key import Window
from tests.components.mapping.networks import NORTH_UP, UTM


def test_the_mean_leaves_nodata_out_and_takes_what_there_is_at_odd_edges():
    pixels = np.array([[[10, 20, 7], [31, 40, 8], [255, 255, 255], [1, 255, 255]]], np.uint8)
    # (10 + 20 + 31 + 40) / 4 = 25.25; 7.5 is rounded up; one of four is known; none is.
    np.testing.assert_array_equal(half_of(pixels, 255, "mean"), [[[25, 8], [1, 255]]])
    np.testing.assert_array_equal(half_of(pixels, 255, "nearest"), [[[10, 7], [255, 255]]])
    np.testing.assert_array_equal(half_of(pixels[:, :3], 255, "mean"), [[[25, 8], [255, 255]]])


def test_overviews_are_those_that_gdal_makes(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 251, (1, 1204, 1100)).astype(np.uint8)
    grid = Grid(1204, 1100, NORTH_UP, UTM)
    scratch = Scratch(RasterSpec("own", grid, "uint8", 255, ("band",), overviews="mean"), tmp_path)
    scratch.create()
    scratch.write(Window(0, 0, 1204, 1100), pixels)
    copy(scratch.path, tmp_path / "gdal.tif", driver="COG", OVERVIEW_RESAMPLING="AVERAGE")
    own = scratch.to_cog(tmp_path, "deflate")
    names = ["gdal.tif", "own.scratch.tif", "own.tif"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    for level, shape in enumerate([(602, 550), (301, 275)]):
        with (
            rasterio.open(own, overview_level=level) as ours,
            rasterio.open(tmp_path / "gdal.tif", overview_level=level) as theirs,
        ):
            assert ours.shape == theirs.shape == shape
            assert abs(ours.read(1).astype(int) - theirs.read(1)).max() <= 1  # they round thrice
