"""Layout of a scene's map: nothing is left out, and memory is bounded in both directions."""

import numpy as np
import pytest
import rasterio

from components.mapping.config import SceneReading
from components.mapping.layout import lay_out
from components.mapping.opening import view_for
from components.mapping.weights import axis_weights, tile_starts
from components.raster.scene.scene import BandFile, SceneSource
from tests.components.mapping.networks import NORTH_UP, UTM, contract_of

PIXEL_BYTES, MEMORY_BYTES = 16, 128 * 2**20


def view_of(tmp_path, height, width):
    """A scene of any size: its blocks are not written."""
    path = tmp_path / f"{height}x{width}.tif"
    profile = {"driver": "GTiff", "count": 1, "dtype": "uint16", "crs": UTM, "tiled": True}
    size = {"height": height, "width": width, "blockxsize": 512, "blockysize": 512}
    with rasterio.open(
        path, "w", **profile, **size, transform=NORTH_UP, SPARSE_OK=True, nodata=0
    ) as dataset:
        dataset.set_band_description(1, "gray")
    source = SceneSource(path.stem, (BandFile(str(path)),))
    return view_for(source, contract_of(size_px=256), SceneReading())


def layout_of(view):
    return lay_out(view, 256, 192, pixel_bytes=PIXEL_BYTES, memory_bytes=MEMORY_BYTES)


def pixels_at_once(layout):
    """Unfinished pixels at most: of a band, and of rows of blocks that are not written yet."""
    return (layout.band_rows + 3 * 512) * max(it.right - it.left for it in layout.columns)


def test_bands_and_columns_cover_the_scene_once(tmp_path):
    layout = layout_of(view_of(tmp_path, 5_000, 20_001))
    plan = layout.plan
    assert [band.top for band in layout.bands[1:]] == [band.end for band in layout.bands[:-1]]
    assert (layout.bands[0].top, layout.bands[-1].end) == (0, 5_000)
    assert sum(len(band.tiles) for band in layout.bands) == len(plan.rows)
    assert len(layout.columns) > 1
    edges = [it.left for it in layout.columns] + [layout.columns[-1].right]
    assert [it.right for it in layout.columns] == edges[1:]
    assert (edges[0], edges[-1]) == (0, 20_001)
    assert sum(len(it.own) for it in layout.columns) == len(plan.cols)
    for columns in layout.columns:
        showing = [
            number
            for number, start in enumerate(plan.cols)
            if start < columns.right and start + 256 > columns.left
        ]
        assert list(columns.tiles) == showing


def test_overlaps_count_by_their_rows_alone(tmp_path):
    """The width follows from the rows of a band, an overlap, rows of blocks, and the file."""
    view = view_of(tmp_path, 5_000, 50_000)
    layout = lay_out(view, 256, 192, pixel_bytes=2, overlap_bytes=24, memory_bytes=MEMORY_BYTES)
    assert (layout.band_rows, view.pixel_bytes) == (1_216, 3)
    most = MEMORY_BYTES // ((1_216 + 3 * 512) * 2 + 64 * 24 + 2_048 * 3)
    for columns in layout.columns[:-1]:
        shown = layout.plan.cols[columns.tiles[-1]] + 256 - layout.plan.cols[columns.tiles[0]]
        assert most - 192 - 1024 < shown <= most
        assert columns.right % 1024 == 0


def test_memory_does_not_grow_with_the_scene(tmp_path):
    for height, width in ((10_000, 10_000), (20_000, 20_000), (100_000, 10_000), (10_000, 100_000)):
        layout = layout_of(view_of(tmp_path, height, width))
        assert pixels_at_once(layout) * PIXEL_BYTES <= MEMORY_BYTES


@pytest.mark.parametrize("blend", ["cosine", "constant", "crop"])
@pytest.mark.parametrize(("length", "stride"), [(64, 64), (300, 48), (257, 64), (130, 16)])
def test_weights_of_all_tiles_add_up_to_one(blend, length, stride):
    starts = tile_starts(length, 64, stride)
    total = np.zeros(length)
    for start, weights in zip(starts, axis_weights(starts, 64, blend), strict=True):
        assert (weights >= 0).all()
        total[start : start + 64] += weights
    np.testing.assert_allclose(total, 1, atol=1e-6)


def test_the_outer_quarter_of_an_overlap_does_not_count():
    first, second = axis_weights((0, 48), 64, "cosine")
    assert (second[:4] == 0).all()
    assert (first[-4:] == 0).all()
    assert (first[:52] == 1).all()
    assert 0.4 < second[7] < 0.5 < second[8] < 0.6  # the middle of the 16 shared pixels
