"""Rasters in stores, by the stores' own protocols, which a server on loopback speaks."""

from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from rasterio.transform import from_origin

from components.raster.scene.probe import open_scene
from components.raster.scene.scene import BandFile, SceneSource
from components.raster.tiles.key import Window
from components.raster.tiles.reading import read_window
from components.raster.tiles.view import view_scene
from tests.components.raster_geo.test_stac import Site, site  # noqa: F401


@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_a_window_costs_its_blocks_alone(
    scheme: str,
    site: Site,  # noqa: F811
    write_raster: Callable[..., str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Path-style requests without signature, as public buckets take them."""
    pixels = np.random.default_rng(1).integers(1, 9_999, (2048, 2048, 1)).astype(np.uint16)
    (tmp_path / "bucket").mkdir()
    path = write_raster(
        pixels,
        str(tmp_path / "bucket" / "scene.tif"),
        crs="EPSG:32632",
        transform=from_origin(500_000, 100_000, 10, 10),
        tiled=True,
        blockxsize=256,
        blockysize=256,
    )
    for name, value in {
        "AWS_S3_ENDPOINT": urlsplit(site.url).netloc,
        "AWS_HTTPS": "NO",
        "AWS_VIRTUAL_HOSTING": "FALSE",
        "AWS_NO_SIGN_REQUEST": "YES",
        "CPL_GS_ENDPOINT": f"{site.url}/",
        "GS_NO_SIGN_REQUEST": "YES",
        "CPL_MACHINE_IS_GCE": "NO",
    }.items():
        monkeypatch.setenv(name, value)
    source = SceneSource("scene", (BandFile(f"{scheme}://bucket/scene.tif"),))
    window = Window(300, 600, 100, 100)
    found, valid = read_window(view_scene(open_scene(source)), window)
    np.testing.assert_array_equal(found, pixels[window.slices])
    assert valid.all()
    assert 0 < site.bytes_sent["/bucket/scene.tif"] < Path(path).stat().st_size / 5
