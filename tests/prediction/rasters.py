"""GeoTIFFs with known values."""

import numpy as np
import rasterio
from rasterio.transform import from_origin

from tests.prediction.models import BANDS


def write_raster(path, values, pixel_m=10.0, bands=BANDS):
    """Writes (H, W) values into every band, at the central meridian of UTM zone 32."""
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = values.shape
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=width,
        height=height,
        count=len(bands),
        dtype="uint16",
        crs="EPSG:32632",
        transform=from_origin(500_000, 5_000_000, pixel_m, pixel_m),
    ) as file:
        file.write(np.stack([values] * len(bands)).astype(np.uint16))
        file.descriptions = bands
