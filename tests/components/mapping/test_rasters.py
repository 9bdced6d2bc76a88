"""Rasters of a map beside those that GDAL's driver COG makes of the same pixels."""

from dataclasses import replace

import numpy as np
import pytest
import rasterio
import tifffile
from rasterio.enums import ColorInterp
from rasterio.shutil import copy
from rio_cogeo.cogeo import cog_validate

from components.mapping.blocks import half_of
from components.mapping.rasters import GrowingRaster
from components.mapping.segmentation import class_spec, confidence_spec, probability_spec
from components.raster.scene.grid import Grid
from components.raster.tiles.key import Window
from tests.components.mapping.networks import NORTH_UP, UTM

#: The least side that GDAL's driver takes.
BLOCK_PX = 128
GRID = Grid(301, 413, NORTH_UP, UTM)
FEW, MANY = tuple("abcdef"), tuple(f"class {n}" for n in range(300))
SPECS = {
    "classes": class_spec(GRID, FEW),
    "many classes": class_spec(GRID, MANY),
    "confidence": confidence_spec(GRID),
    "probabilities": probability_spec(GRID, FEW),
    "small": confidence_spec(replace(GRID, height_px=5, width_px=7)),
    "one row of blocks": confidence_spec(replace(GRID, height_px=128)),
    "no map": class_spec(Grid(301, 413, NORTH_UP, None), FEW),
}


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr("components.mapping.blocks.BLOCK_PX", BLOCK_PX)


def pixels_of(spec, seed=0):
    """Runs of numbers, a block of them nodata, and single pixels of nodata."""
    random = np.random.default_rng(seed)
    shape = len(spec.bands), spec.grid.height_px, spec.grid.width_px
    most = 251 if spec.scale != 1 else len(spec.tags["CLASSES"].split("\t"))
    found = np.repeat(random.integers(0, most, shape), 3, axis=2)[:, :, : shape[2]]
    found[:, 140:260, 100:300] = spec.nodata
    found[random.random(shape) < 0.001] = spec.nodata
    return found.astype(spec.dtype)


def windows(spec, rows=100):
    """Columns that end with a block of the first overview, in bands that do not."""
    border = 2 * BLOCK_PX
    width, height = spec.grid.width_px, spec.grid.height_px
    for left, right in [(0, border), (border, width)] if width > border else [(0, width)]:
        for top in range(0, height, rows):
            yield Window(top, left, min(rows, height - top), right - left)


def write(raster, pixels, parts):
    for window in parts:
        raster.write(window, pixels[:, window.row : window.bottom, window.col : window.right])


def made(spec, folder, pixels, compression="deflate", parts=None):
    folder.mkdir()
    raster = GrowingRaster(spec, folder, compression)
    raster.create()
    write(raster, pixels, parts or windows(spec))
    return raster.to_cog(folder)


def by_gdal(spec, path, pixels, compression="deflate"):
    """Writes the pixels with GDAL's own driver."""
    count, height, width = pixels.shape
    with rasterio.open(
        path.with_suffix(".plain.tif"),
        "w",
        driver="GTiff",
        count=count,
        height=height,
        width=width,
        dtype=spec.dtype,
        nodata=spec.nodata,
        transform=spec.grid.transform,
        crs=spec.grid.crs,
    ) as dataset:
        dataset.descriptions = spec.bands
        dataset.update_tags(1, **spec.tags)
        if spec.scale != 1:
            dataset.scales = (spec.scale,) * count
        if spec.colours:
            empty = [(0, 0, 0, 0)] * (256 - len(spec.colours))
            dataset.write_colormap(1, dict(enumerate([*spec.colours, *empty])))
        elif count > 1:
            dataset.colorinterp = [ColorInterp.gray] + [ColorInterp.undefined] * (count - 1)
        dataset.write(pixels)
    predictor = "YES" if spec.overviews == "mean" else "NO"
    options = {"COMPRESS": compression.upper(), "BLOCKSIZE": BLOCK_PX, "PREDICTOR": predictor}
    copy(path.with_suffix(".plain.tif"), path, driver="COG", **options)
    return path


def tags_of(path):
    """Tags of each directory but the places of blocks, and sides of overviews.

    GDAL rounds half of an odd side down, and so drops pixels.
    """
    with tifffile.TiffFile(path) as file:
        return [
            {
                tag.code: (tag.dtype, np.array(tag.value).tolist())
                for tag in page.tags
                if tag.code not in ({324, 325, 256, 257} if number else {324, 325})
            }
            for number, page in enumerate(file.pages)
        ]


def facts_of(path):
    """Reads everything but the pixels of a file with rasterio."""
    with rasterio.open(path) as dataset:
        return (
            {**dataset.profile},
            dataset.tags(),
            dataset.tags(ns="IMAGE_STRUCTURE"),
            [dataset.tags(band) for band in dataset.indexes],
            (dataset.descriptions, dataset.scales, dataset.offsets, dataset.colorinterp),
            dataset.colormap(1) if dataset.colorinterp[0] == ColorInterp.palette else None,
            [dataset.overviews(band) for band in dataset.indexes],
        )


@pytest.mark.parametrize("compression", ["deflate", "zstd"])
@pytest.mark.parametrize("kind", SPECS)
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_raster_is_the_one_that_gdal_makes_of_the_same_pixels(tmp_path, kind, compression):
    spec = SPECS[kind]
    pixels = pixels_of(spec)
    own = made(spec, tmp_path / "own", pixels, compression)
    other = by_gdal(spec, tmp_path / "gdal.tif", pixels, compression)
    assert tags_of(own) == tags_of(other)
    assert facts_of(own) == facts_of(other)
    assert own.read_bytes()[:192] == other.read_bytes()[:192], "the header of a COG with its layout"
    is_valid, errors, warnings = cog_validate(own, strict=True)
    assert is_valid, (errors, warnings)
    with rasterio.open(own) as dataset:
        np.testing.assert_array_equal(dataset.read(), pixels)
        levels = len(dataset.overviews(1))
    expected = pixels
    for level in range(levels):
        expected = half_of(expected, spec.nodata, spec.overviews)
        with rasterio.open(own, overview_level=level) as dataset:
            np.testing.assert_array_equal(dataset.read(), expected)


@pytest.mark.parametrize("kind", ["classes", "many classes", "confidence", "probabilities"])
def test_a_reader_without_gdal_sees_the_same_pixels(tmp_path, kind):
    spec = SPECS[kind]
    pixels = pixels_of(spec)
    found = tifffile.imread(made(spec, tmp_path / "own", pixels), series=0, level=0)
    planes = found[np.newaxis] if found.ndim == 2 else np.moveaxis(found, -1, 0)
    np.testing.assert_array_equal(planes, pixels)


def test_the_way_in_which_pixels_come_does_not_matter(tmp_path):
    spec = SPECS["probabilities"]
    pixels = pixels_of(spec)
    whole = [Window(0, 0, spec.grid.height_px, spec.grid.width_px)]
    single = windows(spec, rows=1)
    files = [
        made(spec, tmp_path / name, pixels, parts=parts).read_bytes()
        for name, parts in (("bands", None), ("whole", whole), ("single", single))
    ]
    assert files[0] == files[1] == files[2]


@pytest.mark.parametrize("done", [1, 2, 3, 5, 8])
def test_a_raster_continues_where_it_was_saved(tmp_path, done):
    spec = SPECS["confidence"]
    pixels = pixels_of(spec)
    parts = list(windows(spec))
    undisturbed = made(spec, tmp_path / "undisturbed", pixels)
    killed = GrowingRaster(spec, tmp_path, "deflate")
    killed.create()
    write(killed, pixels, parts[:done])
    (tmp_path / "saved").mkdir()
    killed.save(tmp_path / "saved")
    write(killed, 250 - pixels, parts[done:])  # what is not saved does not count
    again = GrowingRaster(spec, tmp_path, "deflate")
    again.load(tmp_path / "saved")
    write(again, pixels, parts[done:])
    assert again.to_cog(tmp_path).read_bytes() == undisturbed.read_bytes()


def test_a_file_that_is_too_large_for_tiff_is_a_bigtiff(tmp_path, monkeypatch):
    spec = SPECS["probabilities"]
    pixels = pixels_of(spec)
    usual = made(spec, tmp_path / "usual", pixels)
    monkeypatch.setattr("components.mapping.cog._CLASSIC_BYTES", 1000)
    large = made(spec, tmp_path / "large", pixels)
    assert [path.read_bytes()[2] for path in (usual, large)] == [42, 43]
    assert cog_validate(large, strict=True)[0]
    assert tags_of(usual) == tags_of(large)
    assert facts_of(usual) == facts_of(large)
    for level in ({}, {"overview_level": 0}, {"overview_level": 1}):
        with rasterio.open(usual, **level) as one, rasterio.open(large, **level) as other:
            np.testing.assert_array_equal(one.read(), other.read())


def test_blocks_that_are_cut_off_are_noticed_by_gdal(tmp_path):
    """The size before each block and the bytes behind it are those that GDAL expects."""
    spec = SPECS["confidence"]
    path = made(spec, tmp_path / "own", pixels_of(spec))
    whole = path.read_bytes()
    with rasterio.open(path) as dataset:
        for band_row, band_col in [(0, 0), (2, 3)]:
            place = f"{band_col}_{band_row}"
            at, size = (
                int(dataset.get_tag_item(f"BLOCK_{name}_{place}", "TIFF", bidx=1))
                for name in ("OFFSET", "SIZE")
            )
            assert int.from_bytes(whole[at - 4 : at], "little") == size
            assert whole[at + size - 4 : at + size] == whole[at + size : at + size + 4]


def test_the_mean_leaves_nodata_out_and_takes_what_there_is_at_odd_edges():
    pixels = np.array([[[10, 20, 7], [31, 40, 8], [255, 255, 255], [1, 255, 255]]], np.uint8)
    # (10 + 20 + 31 + 40) / 4 = 25.25; 7.5 is rounded up; one of four is known; none is.
    np.testing.assert_array_equal(half_of(pixels, 255, "mean"), [[[25, 8], [1, 255]]])
    np.testing.assert_array_equal(half_of(pixels, 255, "nearest"), [[[10, 7], [255, 255]]])
    np.testing.assert_array_equal(half_of(pixels[:, :3], 255, "mean"), [[[25, 8], [255, 255]]])


def test_overviews_are_those_that_gdal_makes(tmp_path):
    spec = confidence_spec(replace(GRID, height_px=304, width_px=416))
    pixels = np.random.default_rng(0).integers(0, 251, (1, 304, 416)).astype(np.uint8)
    own = made(spec, tmp_path / "own", pixels)
    by_gdal(spec, tmp_path / "gdal.tif", pixels)
    options = {"BLOCKSIZE": BLOCK_PX, "OVERVIEW_RESAMPLING": "AVERAGE"}
    copy(tmp_path / "gdal.plain.tif", tmp_path / "mean.tif", driver="COG", **options)
    for level, shape in enumerate([(152, 208), (76, 104)]):
        with (
            rasterio.open(own, overview_level=level) as ours,
            rasterio.open(tmp_path / "mean.tif", overview_level=level) as theirs,
        ):
            assert ours.shape == theirs.shape == shape
            assert abs(ours.read(1).astype(int) - theirs.read(1)).max() <= 1  # they round twice
