"""Small rasters with a known answer, made where a test needs them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import rasterio
from affine import Affine
from hypothesis import settings
from rasterio.transform import from_origin

from components.raster.scene.probe import open_scene
from components.raster.scene.scene import BandFile, Scene, SceneSource

# The same cases every time, so that failures are reproducible.
settings.register_profile("repeatable", database=None, deadline=None, derandomize=True)
settings.load_profile("repeatable")

UTM = "EPSG:32632"
ORIGIN = from_origin(500_000, 5_300_000, 10, 10)

WriteRaster = Callable[..., Path]


@pytest.fixture(scope="session")
def write_raster(tmp_path_factory: pytest.TempPathFactory) -> WriteRaster:
    """Writes a GeoTIFF of (H, W, C) pixels; every keyword of rasterio's profile is taken."""
    folder = tmp_path_factory.mktemp("rasters")

    def write(
        pixels: npt.NDArray[Any],
        name: str = "scene.tif",
        *,
        crs: str | None = UTM,
        transform: Affine = ORIGIN,
        mask: npt.NDArray[np.bool_] | None = None,
        tags: dict[str, str] | None = None,
        descriptions: tuple[str, ...] = (),
        **profile: Any,
    ) -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        height, width, count = pixels.shape
        with (
            rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
            rasterio.open(
                path,
                "w",
                driver="GTiff",
                height=height,
                width=width,
                count=count,
                dtype=pixels.dtype,
                crs=crs,
                transform=transform,
                **profile,
            ) as dataset,
        ):
            dataset.write(pixels.transpose(2, 0, 1))
            if mask is not None:
                dataset.write_mask(mask)
            dataset.update_tags(**(tags or {}))
            for band, description in enumerate(descriptions, start=1):
                dataset.set_band_description(band, description)
        return path

    return write


@pytest.fixture(scope="session")
def scene_at() -> Callable[..., Scene]:
    """Opens one file as a scene named `scene`."""

    def at(path: Path, **options: Any) -> Scene:
        return open_scene(SceneSource("scene", (BandFile(str(path)),)), **options)

    return at


def numbered(height: int, width: int, bands: int = 1, dtype: str = "uint16") -> npt.NDArray[Any]:
    """Pixels that all differ, as far as the dtype goes."""
    count = height * width * bands
    return (np.arange(count) % np.iinfo("uint16").max).reshape(height, width, bands).astype(dtype)


@pytest.fixture(scope="session")
def numbered_pixels() -> Callable[..., npt.NDArray[Any]]:
    """`numbered` as a fixture: test modules cannot import each other."""
    return numbered
