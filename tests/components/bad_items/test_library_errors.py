"""Errors of the libraries, in one sentence."""

import json
from pathlib import Path

import numpy as np
import pystac
import pytest
import rasterio
import shapely
from affine import Affine
from rasterio.crs import CRS

from components.raster.errors import ConfigError, DataError, SkymillError
from components.raster.library_errors import LibraryError, reason_of, translated
from components.raster.scene.gdal import opened
from components.raster.scene.grid import CrsError, crs_of, reproject
from tests.components.bad_items.conftest import LOCAL


def why_not(call) -> str:
    with pytest.raises(LibraryError) as caught, translated(document=True):
        call()
    assert caught.value.__cause__ is not None
    return str(caught.value)


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: shapely.from_wkb(b"\x01\x10\x00\x00\x00\x00\x00\x00\x00"), "Unknown WKB type 16"),
        (lambda: rasterio.open("/no/such.tif"), "/no/such.tif: No such file or directory"),
        (lambda: Path("/no/such.tif").read_bytes(), "No such file or directory"),
        (lambda: ~Affine.scale(0), "Cannot invert degenerate transform"),
        (lambda: json.loads(nested(100_000)), "it is nested too deeply"),
        (lambda: {}["file_name"], "it has no 'file_name'"),
        (lambda: pystac.Link.from_dict({"rel": "self"}), "it has no 'href'"),
        (lambda: 1 / 0, "division by zero"),
    ],
)
def test_the_reason_is_the_library_s_without_its_name(call, words):
    assert why_not(call) == words


def test_a_dumped_system_is_called_by_its_name():
    projjson = json.dumps(
        {
            "$schema": "https://proj.org/x",
            "type": "EngineeringCRS",
            "name": "Grid 7",
            "datum": {"name": "d"},
        }
    )
    text = f"Cannot find coordinate operations from '{projjson}' to '{projjson}'"
    assert reason_of(ValueError(text)) == (
        "Cannot find coordinate operations from 'Grid 7' to 'Grid 7'"
    )
    wkt = CRS.from_epsg(32632).to_wkt()
    assert reason_of(ValueError(f"bad {wkt}")) == "bad 'WGS 84 / UTM zone 32N'"
    assert len(reason_of(ValueError("word " * 1000))) < 210


def test_errors_of_ours_and_of_programmers_pass():
    with pytest.raises(ConfigError), translated():
        raise ConfigError("as it is")
    for mistake in (AssertionError(), TypeError(), KeyboardInterrupt()):
        with pytest.raises(type(mistake)), translated():
            raise mistake


def test_what_failed_farther_in_means_what_it_means_farther_out():
    def outer(error):
        with translated(lambda why: DataError(f"the labels: {why}")):
            raise error

    with pytest.raises(DataError, match="^the labels: no block 7$") as caught:
        outer(LibraryError("no block 7"))
    assert type(caught.value) is DataError


def test_a_raster_that_cannot_be_opened_is_named(tmp_path: Path):
    path = tmp_path / "a.tif"
    path.write_bytes(b"II*\0 and no more")
    with (
        pytest.raises(LibraryError, match=r"a\.tif cannot be opened: ") as caught,
        opened(str(path)),
    ):
        pass
    assert isinstance(caught.value, SkymillError)


@pytest.mark.parametrize("target", ["OGC:CRS84", "EPSG:32632"])
@pytest.mark.parametrize("source", [LOCAL, "IAU_2015:49900", "IAU_2015:30110"])
def test_no_way_leads_from_elsewhere_to_the_earth(source, target):
    with pytest.raises(CrsError) as caught:
        reproject(source, target, np.array([10.0]), np.array([10.0]))
    name = "Drone survey" if source == LOCAL else source
    assert str(caught.value) == (
        f"{name} cannot be transformed to {target}: PROJ knows no coordinate operation"
    )


def test_a_system_that_nobody_knows_is_reported():
    with pytest.raises(CrsError, match="^EPSG:999999 is unknown to PROJ: "):
        crs_of("EPSG:999999")


def test_one_place_beside_the_earth_costs_no_other():
    """A picture of the whole disk: its middle has a place, and its corners have none."""
    disk = "+proj=geos +h=35785831 +lon_0=0 +sweep=y"
    xs, ys = np.meshgrid(np.linspace(-5.4e6, 5.4e6, 5), np.linspace(5.4e6, -5.4e6, 5))
    lons, lats = reproject(disk, "OGC:CRS84", xs, ys)
    assert lons.shape == (5, 5)
    assert abs(lons[2, 2]) < 1e-9
    assert abs(lats[2, 2]) < 1e-9
    assert np.isinf([lons[0, 0], lons[0, -1], lats[-1, 0], lats[-1, -1]]).all()
    # The limb lies 8.7 degrees around the middle, 35,786 km away: some 5,430 km in these metres.
    np.testing.assert_array_equal(np.isfinite(lats), np.hypot(xs, ys) < 5.43e6)


def test_a_long_reason_keeps_its_beginning_and_its_end():
    nested = f"Max retries exceeded with url: /{'x' * 300} (Caused by: [Errno 111] refused)"
    reason = reason_of(ConnectionError(nested))
    assert reason.startswith("Max retries exceeded with url: ")
    assert reason.endswith("(Caused by: [Errno 111] refused)")
    assert " ... " in reason
    assert len(reason) < 210
