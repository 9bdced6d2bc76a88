"""Maps of real scenes by a network that decides by the vegetation index, beside numpy's answer."""

import numpy as np
import pyarrow.parquet as pq
import pytest
import rasterio
import shapely

from components.mapping.config import MapConfig
from components.mapping.maps import map_scene
from components.raster.image import ImageSpec
from components.raster.scene.scene import BandFile, SceneSource
from serving.contract.contract import Contract
from serving.contract.needs import TrainedTiles
from tests.components.mapping.networks import Network

#: Of each file the positions of red and near infrared, and metres of a pixel.
SCENES = {
    "stars_L7_ETMs.tif": ((3, 4), 28.5),  # Landsat 7, uint8, no nodata
    "naip_m_4709963_se_14_1_20090818.tif": ((1, 4), 5.0),  # NAIP, 0 is nodata
}
CLASSES = ("bare", "vegetation")


class VegetationIndex(Network):
    """Vegetation from an index of 0.2 on, which it knows for each pixel by itself."""

    def answer(self, tiles, view):
        return {"class_probabilities": np.stack([self._of(tile.pixels) for tile in tiles])}

    def _of(self, pixels):
        index = vegetation_index(pixels[..., 0], pixels[..., 1])
        sure = 1 / (1 + np.exp(-20 * (index - 0.2)))
        return np.stack([1 - sure, sure]).astype(np.float32)


def vegetation_index(red, infrared):
    red, infrared = red.astype(np.float64), infrared.astype(np.float64)
    return (infrared - red) / np.maximum(infrared + red, 1)


@pytest.mark.parametrize("name", SCENES)
def test_the_map_is_the_index_of_every_pixel_and_its_polygons_have_its_area(
    shared_data, tmp_path, name
):
    path = shared_data("geotiff_multiband") / name
    bands, gsd_m = SCENES[name]
    side = (64, 64)
    contract = Contract(
        task="segmentation",
        image=ImageSpec(height_px=64, width_px=64, bands=("red", "nir")),
        classes=CLASSES,
        tiles=TrainedTiles(side, side, (gsd_m, gsd_m)),
    )
    formats = ("parquet",) if gsd_m > 10 else ()  # NAIP's many small areas take long
    config = MapConfig.model_validate({"reading": {"bands": bands}, "vectors": formats})
    source = SceneSource("scene", (BandFile(str(path)),))
    found = map_scene(source, VegetationIndex(contract), config, tmp_path)
    with rasterio.open(path) as dataset:
        red, infrared = (dataset.read(band) for band in bands)
        known = np.ones(red.shape, bool)
        if dataset.nodata is not None:
            known = (red != dataset.nodata) & (infrared != dataset.nodata)
        grid = (dataset.crs, dataset.transform)
        pixel_m2 = abs(dataset.transform.determinant)
    green = vegetation_index(red, infrared) > 0.2
    expected = np.where(known, green, 255)
    with rasterio.open(found.folder / "classes.tif") as dataset:
        assert (dataset.crs, dataset.transform) == grid
        np.testing.assert_array_equal(dataset.read(1), expected)
    if not formats:
        return
    table = pq.read_table(found.folder / "polygons.parquet").to_pydict()
    areas = shapely.area(shapely.from_wkb(table["geometry"]))
    for index, label in enumerate(CLASSES):
        own = sum(area for area, it in zip(areas, table["class"], strict=True) if it == label)
        assert 0 < own == pytest.approx((expected == index).sum() * pixel_m2)
