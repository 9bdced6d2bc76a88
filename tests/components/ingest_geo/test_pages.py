"""TIFF files of several pages, and files that hold several rasters: chosen or refused by name."""

import io

import h5py
import numpy as np
import pytest
import rasterio
import rasterio.shutil
from PIL import Image
from rasterio.transform import from_origin

from components.ingest.photographs.config import MaskedSource
from components.ingest.photographs.masks import PhotographMaskReader
from components.ingest.records.record import Record
from components.raster.errors import DataError, SkymillError
from components.raster.labels.class_raster import ClassLegend
from components.raster.labels.palette import read_colours
from components.raster.payload import decode_payload
from components.raster.reasons import Reason
from pipelines.cli.answer_files import pixel_geometry
from serving.client import read_image
from serving.client.raster_reading import RasterReading
from tests.components.ingest_geo.conftest import by_key

PLACE = {"crs": "EPSG:32632", "transform": from_origin(500_000, 5_300_000, 10, 10)}


@pytest.fixture
def pages(tmp_path):
    """A TIFF file of three pages of 16 x 16, 16 x 16 and 8 x 8 pixels that hold 1, 2 and 3."""
    path = tmp_path / "scenes" / "paged.tif"
    path.parent.mkdir()
    for number, side in enumerate((16, 16, 8), start=1):
        size = {"height": side, "width": side, "count": 1, "dtype": "uint8"}
        more = {"APPEND_SUBDATASET": "YES"} if number > 1 else {}
        with rasterio.open(path, "w", driver="GTiff", **size, **PLACE, **more) as dataset:
            dataset.write(np.full((1, side, side), number, "uint8"))
    return path


def tree(uri, **source):
    kind = {"kind": "scenes", "tiling": {"size_px": 8}} | source
    return {
        "source": {**kind, "uri": str(uri)},
        "image": {"bands": ["B1"]},
        "split_by": {"by": "tile", "insist": True},
        "max_reject_fraction": 1.0,
    }


def values(outcome):
    """Counts the tiles of each value."""
    found = [
        np.unique(decode_payload(features["image/encoded"].bytes_list.value[0]).pixels)
        for _, features in by_key(outcome).values()
    ]
    return np.concatenate(found).tolist()


def test_pages_are_never_left_out_without_a_word(run, pages):
    with pytest.raises(DataError, match=r"3 pages.*Page 1 .*Page 3 \(8P x 8L x 1B\).*page"):
        run(tree(pages))


@pytest.mark.parametrize(("page", "expected"), [(1, [1] * 4), (2, [2] * 4), (3, [3])])
def test_the_page_that_is_asked_for_is_read(run, pages, page, expected):
    assert values(run(tree(pages, page=page))) == expected
    reading = RasterReading(page=page)
    assert np.unique(decode_payload(read_image(pages, reading)).pixels) == [page]
    assert pixel_geometry(pages, page).size_px == ((8, 8) if page == 3 else (16, 16))


def test_a_page_that_is_not_there_is_reported(run, pages, write_raster, tmp_path):
    with pytest.raises(DataError, match="no page 4; it has 3"):
        run(tree(pages, page=4))
    alone = write_raster(np.ones((8, 8, 1), "uint8"), str(tmp_path / "alone.tif"))
    assert values(run(tree(alone, page=1))) == [1]
    with pytest.raises(DataError, match="no page 2; it has 1"):
        run(tree(alone, page=2))


def test_chips_and_the_client_refuse_several_pages(run, pages):
    chip = pages.parent / "field" / "paged.tif"
    chip.parent.mkdir()
    pages.rename(chip)
    chips = {"source": {"kind": "chips", "uri": str(chip.parents[1])}}
    with pytest.raises(DataError, match="1 rejects.*3 pages"):
        run(tree("") | chips)
    chips["source"]["page"] = 2
    assert values(run(tree("") | chips)) == [2]
    with pytest.raises(SkymillError, match="3 pages"):
        read_image(chip, RasterReading())


def test_overviews_and_masks_are_no_pages(run, write_raster, tmp_path):
    plain = write_raster(
        np.ones((600, 600, 1), "uint8"), str(tmp_path / "plain.tif"), mask=np.ones((600, 600), bool)
    )
    cog = tmp_path / "cog.tif"
    rasterio.shutil.copy(plain, cog, driver="COG", BLOCKSIZE="128")
    with rasterio.open(cog) as dataset:
        assert dataset.overviews(1)
    assert set(values(run(tree(cog, tiling={"size_px": 300})))) == {1}


def test_labels_of_several_pages_are_refused(run, pages, write_raster, tmp_path):
    scene = write_raster(np.ones((16, 16, 1), "uint8"), str(tmp_path / "others" / "paged.tif"))
    legend = {"values": {1: "field", 2: "wood", 3: "lake"}}
    for labels in (
        {"kind": "class_raster", "path": str(pages), "legend": legend},
        {"kind": "masks", "folder": str(pages.parent), "legend": legend},
        {"kind": "masks", "folder": str(pages.parent), "legend": {"colours": {"#010101": "field"}}},
    ):
        with pytest.raises(DataError, match="3 pages"):
            run(tree(scene, labels=labels, target={"to": "mask"}))
    with pytest.raises(DataError, match="3 pages"):
        read_colours(pages)


def test_a_photograph_s_mask_has_one_page():
    legend = ClassLegend(values={0: "soil"})
    reader = PhotographMaskReader(MaskedSource(uri="a", masks="b", legend=legend), ("soil",))
    mask, file = Image.new("L", (8, 8)), io.BytesIO()
    mask.save(file, "TIFF", save_all=True, append_images=[mask])
    found = reader(Record("a.png", "a.png"), file.getvalue(), 8, 8)
    assert (found.reason, found.detail[:20]) == (Reason.SEVERAL_PAGES, "the mask has 2 pages")
    alone = io.BytesIO()
    mask.save(alone, "TIFF")
    assert not reader(Record("a.png", "a.png"), alone.getvalue(), 8, 8).mask.any()


def test_rasters_in_hdf_are_named(run, tmp_path):
    path = tmp_path / "scene.nc"
    with h5py.File(path, "w") as file:
        for name in ("ndvi", "quality"):
            file[name] = np.ones((16, 16), "float32")
    with pytest.raises(DataError, match=r"NetCDF and HDF files are not read.*ndvi.*quality"):
        run(tree(path))
