"""Scenes and masks without a place on the earth, beside good ones."""

from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from rasterio.transform import from_origin

from components.ingest.config import IngestConfig
from components.ingest.sources import survey
from components.raster.errors import ConfigError, DataError
from tests.components.bad_items.conftest import (
    LOCAL,
    UTM,
    feature,
    noise,
    run,
    square,
    tree,
    write_features,
)

GOOD = ["good@0,0,32x32", "good@0,32,32x32"]
DEGREES = from_origin(10, 10, 0.001, 0.001)
MARS = (
    'GEOGCS["Mars 2000",DATUM["D_Mars_2000",SPHEROID["Mars_2000_IAU_IAG",3396190,169.894447]],'
    'PRIMEM["Reference_Meridian",0],UNIT["Degree",0.0174532925199433]]'
)
NOWHERE = {
    "local": (LOCAL, from_origin(100, 500, 0.1, 0.1), "Drone survey is neither a geographic nor"),
    "vertical": ("EPSG:5773", DEGREES, "neither a geographic nor a projected system"),
    "geocentric": ("EPSG:4978", DEGREES, "neither a geographic nor a projected system"),
    "Mars": ("IAU_2015:49900", DEGREES, "IAU_2015:49900 cannot be transformed to OGC:CRS84"),
    "Mars by WKT": (MARS, DEGREES, "Mars 2000 cannot be transformed to OGC:CRS84"),
    "Moon in metres": ("IAU_2015:30110", from_origin(0, 0, 100, 100), "cannot be transformed to"),
    "metres called degrees": ("EPSG:4326", from_origin(5e5, 5e6, 10, 10), "reach latitude 5e+06"),
    "two pixels over the pole": ("EPSG:4326", from_origin(0, 92, 1, 1), "reach latitude 92"),
    "beside the disk": (
        "+proj=geos +h=35785831 +lon_0=0 +sweep=y",
        from_origin(5.5e6, 5.5e6, 10, 10),
        "no place on the earth",
    ),
    "degrees called metres": (UTM, from_origin(5e7, 5e8, 10, 10), "on the earth"),
}


@pytest.mark.parametrize("kind", NOWHERE)
def test_a_scene_off_the_earth_is_one_reject_and_costs_no_other(two_tiles, write_raster, kind):
    crs, place, words = NOWHERE[kind]
    bad = write_raster(noise(seed=1), str(two_tiles / "bad.tif"), crs=crs, transform=place)
    found = run(tree(two_tiles))
    assert sorted(found.tiles) == GOOD
    reject = found.only_reject()
    assert (reject.key, reject.uri, reject.reason.value) == ("bad", str(bad), "not_on_earth")
    assert words in reject.detail
    assert len(reject.detail) < 400
    by_place = {"by": "block", "block_m": 1000, "buffer_m": None}
    report = survey(IngestConfig.model_validate(tree(two_tiles, split_by=by_place))).report
    assert sum(report.counts.values()) == 2


def test_with_leave_a_scene_off_the_earth_is_tiled_in_its_pixels(two_tiles, write_raster):
    """Labels in the same coordinates lie on it."""
    pixels = noise(seed=1)
    path = two_tiles / "drone.tif"
    write_raster(pixels, str(path), crs=LOCAL, transform=from_origin(0, 320, 10, 10))
    labels = write_features(
        two_tiles.parent / "labels.geojson",
        [feature(square(0, 320), crop="left"), feature(square(320, 320), crop="right")],
    )
    source = {"labels": {"kind": "shapes", "path": labels, "class_field": "crop"}}
    (two_tiles / "good.tif").unlink()
    found = run(tree(two_tiles, without_map=True, target={"to": "class"}, **source))
    assert {key: tile.truth.label for key, tile in found.tiles.items()} == {
        "drone@0,0,32x32": "left",
        "drone@0,32,32x32": "right",
    }
    tile = found.tiles["drone@0,32,32x32"].tile
    np.testing.assert_array_equal(tile.pixels, pixels[:, 32:])
    assert tile.crs is None


def test_a_whole_disk_is_used_where_it_shows_the_earth(write_raster, tmp_path):
    """The corners of a geostationary picture show none: their tiles have no place."""
    disk = "+proj=geos +h=35785831 +lon_0=0 +sweep=y"
    place = from_origin(-5.6e6, 5.6e6, 87_500, 87_500)
    path = write_raster(
        noise(128, 128), str(tmp_path / "a" / "disk.tif"), crs=disk, transform=place
    )
    by_place = {"by": "block", "block_m": 1_000_000, "buffer_m": None}
    found = run(tree(path.parent, split_by=by_place))
    # Of 4 x 4 tiles those in the corners, and those whose outer corners lie beside the limb.
    assert sorted(found.tiles) == [
        f"disk@{row},{col},32x32" for row in (32, 64) for col in (32, 64)
    ]
    assert found.rejects == []
    lons = [tile.tile.lonlat[0] for _, tile in sorted(found.tiles.items())]
    assert np.sign(lons).tolist() == [-1, 1, -1, 1]


@pytest.mark.parametrize("west", [-180, 0])
def test_a_global_grid_may_stand_half_a_pixel_over_the_poles(write_raster, tmp_path, west):
    """Centres on whole degrees, longitudes from -180 or from 0: 181 x 360 pixels of a degree."""
    place = from_origin(west - 0.5, 90.5, 1, 1)
    path = write_raster(
        noise(181, 360), str(tmp_path / "a" / "globe.tif"), crs="EPSG:4326", transform=place
    )
    by_place = {"by": "block", "block_m": 500_000, "buffer_m": None}
    config = tree(path.parent, size=45, split_by=by_place, tiling={"size_px": 45, "edge": "pad"})
    found = run(config)
    assert found.rejects == []
    assert len(found.tiles) == 5 * 8
    places = {key: tile.tile.lonlat for key, tile in found.tiles.items()}
    assert places["globe@0,0,45x45"] == pytest.approx((-158.0 if west else 22.0, 68.0))
    assert places["globe@0,315,45x45"] == pytest.approx((157.0 if west else -23.0, 68.0))
    report = survey(IngestConfig.model_validate(config)).report
    assert sum(report.counts.values()) == 40
    assert report.train_to_test.distance_m < 3e6


def test_pixels_without_extent_are_a_reject(two_tiles, write_raster):
    write_raster(noise(), str(two_tiles / "bad.tif"), transform=Affine(0, 0, 5e5, 0, 0, 5e6))
    found = run(tree(two_tiles))
    assert found.reasons() == {"bad": "no_transform"}
    assert sorted(found.tiles) == GOOD


LEGEND = {"values": {1: "building", 2: "water"}}


@pytest.fixture
def masked(two_tiles, write_raster, tmp_path):
    """Runs masks for `good`, with an intact scene and mask; returns tiles and rejects."""
    halves = np.repeat(np.repeat([[1, 2]], 32, axis=0), 32, axis=1).astype(np.uint8)[..., None]
    write_raster(noise(seed=2), str(two_tiles / "whole.tif"))
    write_raster(halves, str(tmp_path / "masks" / "whole.tif"))

    def of(write, legend=LEGEND, **labels):
        write(halves, tmp_path / "masks" / "good.tif")
        labels = {"kind": "masks", "folder": str(tmp_path / "masks"), "legend": legend, **labels}
        return run(tree(two_tiles, labels=labels, target={"to": "class"}))

    return of


def test_a_mask_in_an_engineering_system_lies_on_its_scene_by_size_and_place(masked, write_raster):
    named = 'LOCAL_CS["WGS 84 / UTM zone 32N",UNIT["metre",1],AXIS["E",EAST],AXIS["N",NORTH]]'
    found = masked(lambda pixels, path: write_raster(pixels, str(path), crs=named))
    labels = {key: tile.truth.label for key, tile in found.tiles.items()}
    assert labels["good@0,0,32x32"] == labels["whole@0,0,32x32"] == "building"
    assert labels["good@0,32,32x32"] == labels["whole@0,32,32x32"] == "water"
    assert found.rejects == []


def test_a_mask_that_lies_elsewhere_is_not_laid_on_by_size_alone(masked, write_raster):
    elsewhere = from_origin(600_000, 5_300_000, 10, 10)
    found = masked(lambda p, path: write_raster(p, str(path), crs=LOCAL, transform=elsewhere))
    assert sorted(found.tiles) == ["whole@0,0,32x32", "whole@0,32,32x32"]
    assert found.reasons() == {"good": "mask_differs"}
    assert "other coordinates than the scene" in found.only_reject().detail


def test_a_mask_with_nan_for_nodata_has_its_classes(masked, write_raster):
    def write(pixels, path):
        values = pixels.astype(np.float32)
        values[:, :10] = np.nan
        write_raster(values, str(path), nodata=float("nan"))

    found = masked(write)
    assert found.rejects == []
    assert found.tiles["good@0,0,32x32"].truth.label == "building"
    assert len(found.tiles) == 4


@pytest.mark.parametrize("colours", [False, True])
def test_a_mask_that_cannot_be_read_costs_its_own_scene(masked, colours, write_raster, tmp_path):
    legend = {"colours": {"#010101": "building", "#020202": "water"}} if colours else LEGEND

    def write(pixels, path):
        rgb = np.repeat(pixels, 3, axis=2)
        write_raster(rgb if colours else pixels, str(tmp_path / "masks" / "whole.tif"))
        path.write_bytes(b"II*\0" + b"\xff" * 64)

    found = masked(write, legend)
    assert sorted(found.tiles) == ["whole@0,0,32x32", "whole@0,32,32x32"]
    reject = found.only_reject()
    assert (reject.key, reject.reason.value) == ("good", "unreadable")
    assert "masks/good.tif" in reject.detail


def test_a_mask_whose_pixels_are_damaged_costs_its_own_scene(masked, write_raster):
    """Its header is whole, and so are its lengths."""

    def write(pixels, path):
        write_raster(pixels, str(path), compress="deflate")
        data = bytearray(path.read_bytes())
        start = data.index(b"\x78\x9c") if b"\x78\x9c" in data else data.index(b"\x78")
        data[start : start + 8] = b"\xff" * 8
        path.write_bytes(data)

    found = masked(write)
    assert sorted(found.tiles) == ["whole@0,0,32x32", "whole@0,32,32x32"]
    assert found.reasons() == {"good": "unreadable"}


def test_a_class_raster_that_leads_nowhere_is_named(two_tiles, write_raster, tmp_path):
    path = write_raster(noise(8, 8), str(tmp_path / "classes.tif"), crs=LOCAL)
    labels = {"kind": "class_raster", "path": str(path), "legend": LEGEND, "undeclared": "ignore"}
    with pytest.raises(DataError, match=r"no scene in .* can be used: 1 rejects .*classes\.tif"):
        run(tree(two_tiles, labels=labels, target={"to": "class"}))


def test_a_warp_that_leads_nowhere_is_a_reject_and_one_that_is_none_is_refused(
    two_tiles, write_raster
):
    with pytest.raises(DataError, match="no scene .* to IAU_2015:49900: "):
        run(tree(two_tiles, warp={"crs": "IAU_2015:49900"}))
    with pytest.raises(ValueError, match="EPSG:999999 is unknown to PROJ"):
        IngestConfig.model_validate(tree(two_tiles, warp={"crs": "EPSG:999999"}))


def test_an_area_wider_than_a_projection_keeps_what_lies_in_it(two_tiles):
    """Most vertices of a half of the earth have no place in a UTM zone."""
    north = [[-180, 0], [180, 0], [180, 90], [-180, 90], [-180, 0]]
    area = write_features(two_tiles.parent / "north.geojson", [feature(north)], epsg=None)
    assert sorted(run(tree(two_tiles, area=area)).tiles) == GOOD


def test_an_area_off_the_earth_is_refused_by_name(two_tiles, tmp_path):
    area = write_features(tmp_path / "mars.geojson", [feature(square(0, 1, 1))], epsg=None)
    text = Path(area).read_text()
    Path(area).write_text(
        text.replace('"FeatureCollection",', '"FeatureCollection", "crs": {"type": "name", '
                     '"properties": {"name": "urn:ogc:def:crs:IAU_2015::49900"}},')
    )  # fmt: skip
    with pytest.raises(
        ConfigError, match=r"source\.area: .*mars\.geojson: .*cannot be transformed to"
    ):
        run(tree(two_tiles, area=area))


def test_of_many_rejects_the_commonest_reason_is_reported(two_tiles, write_raster):
    (two_tiles / "a.tif").write_bytes(b"no raster")
    write_raster(noise(seed=1), str(two_tiles / "z.tif"))
    bands = {"height_px": 32, "width_px": 32, "bands": ["red"]}
    with pytest.raises(DataError, match=r"3 rejects \(such as good: no band 'red'"):
        run({**tree(two_tiles), "image": bands})
