"""Scenes behind a catalogue's API are read by range, and no more of them than tiles need."""

import json

import numpy as np
import rasterio
import shapely
import shapely.geometry
from rasterio.transform import from_origin

from components.ingest.config import IngestConfig
from components.ingest.fingerprint import fingerprint_dataset
from components.raster.payload import decode_payload
from components.raster.tiles.key import TileKey
from tests.components.ingest_geo.conftest import by_key, strings
from tests.components.raster_geo.test_stac import asset, item, site  # noqa: F401


def test_tiles_of_an_area_cost_their_blocks_alone(run, site, write_raster, tmp_path):  # noqa: F811
    pixels = np.random.default_rng(1).integers(1, 9_999, (4096, 4096, 1)).astype(np.uint16)
    place = from_origin(500_000, 100_000, 10, 10)
    blocks = {"tiled": True, "blockxsize": 256, "blockysize": 256}
    path = write_raster(
        pixels, str(tmp_path / "red.tif"), crs="EPSG:32632", transform=place, **blocks
    )
    site.items = [item(1, {"red": asset(f"{site.url}/red.tif", "red")})]
    corner = shapely.box(500_000, 100_000 - 2_550, 502_550, 100_000)
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32632"}}
    area = tmp_path / "area.geojson"
    feature = {
        "type": "Feature",
        "properties": {},
        "geometry": shapely.geometry.mapping(corner),
    }
    area.write_text(json.dumps({"type": "FeatureCollection", "crs": crs, "features": [feature]}))
    tree = {
        "source": {
            "kind": "stac",
            "query": {"source": f"{site.url}/api"},
            "tiling": {"size_px": 64},
            "area": str(area),
        },
        "image": {"bands": ["red"]},
        "split_by": {"by": "tile", "insist": True},
    }
    found = by_key(run(tree))
    assert len(found) == 16
    for key, (_, features) in found.items():
        payload = decode_payload(features["image/encoded"].bytes_list.value[0])
        np.testing.assert_array_equal(payload.pixels, pixels[TileKey.parse(key).window.slices])
        assert strings(features, "image/date") == ["2021-06-01"]
        assert strings(features, "image/sensor") == ["sentinel-2a_msi"]
    assert 0 < site.bytes_sent["/red.tif"] < path.stat().st_size / 5
    config = IngestConfig.model_validate(tree)
    before = fingerprint_dataset(config.source)
    assert fingerprint_dataset(config.source) == before
    with rasterio.open(path, "r+") as dataset:
        dataset.update_tags(CHANGED="it is longer now")
    assert fingerprint_dataset(config.source) != before
