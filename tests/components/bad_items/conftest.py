"""Whole runs over small sources, without Beam: the listing, every worker's work, and the survey."""

import json
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
import shapely.geometry

from components.ingest.config import IngestConfig
from components.ingest.rasters.scenes.config import TiledSource
from components.ingest.rasters.scenes.convert import LabelledTile, SceneConverter
from components.ingest.records.reject import Reject
from components.ingest.sources import list_source
from tests.components.raster_geo.conftest import write_raster  # noqa: F401

UTM = "EPSG:32632"
LOCAL = 'LOCAL_CS["Drone survey",UNIT["metre",1],AXIS["X",EAST],AXIS["Y",NORTH]]'


@dataclass(frozen=True, eq=False)
class Run:
    """The outcome of a source's tiles."""

    tiles: dict[str, LabelledTile]
    rejects: list[Reject]

    def only_reject(self) -> Reject:
        (reject,) = self.rejects
        return reject

    def reasons(self) -> dict[str, str]:
        return {reject.key: reject.reason.value for reject in self.rejects}


def run(tree: dict[str, Any]) -> Run:
    """Lists a source of scenes and reads every tile, as workers do."""
    config = IngestConfig.model_validate(tree)
    listing = list_source(config)
    assert isinstance(config.source, TiledSource)
    converter = SceneConverter(config, config.source, listing.classes)
    found = [item for part in listing.parts for item in converter.read(part)]
    for _ in converter.convert(listing.parts):
        pass
    tiles = {item.record.key: item for item in found if isinstance(item, LabelledTile)}
    return Run(tiles, [*listing.rejects, *(item for item in found if isinstance(item, Reject))])


def tree(
    scenes: str | Path, *, size: int = 32, split_by: Any = None, **source: Any
) -> dict[str, Any]:
    """A configuration of ingest whose scenes have one band."""
    return {
        "source": {"kind": "scenes", "uri": str(scenes), "tiling": {"size_px": size}, **source},
        "image": {"height_px": size, "width_px": size, "bands": ["B1"]},
        "split_by": split_by or {"by": "tile", "insist": True},
    }


def noise(height: int = 32, width: int = 64, seed: int = 0) -> np.ndarray:
    """Pixels (H, W, 1) that are all valid."""
    return np.random.default_rng(seed).integers(1, 255, (height, width, 1), dtype=np.uint8)


def square(left: float, top: float, size: float = 320) -> list[list[float]]:
    """A closed ring in metres, from its upper left corner."""
    right, bottom = left + size, top - size
    return [[left, bottom], [right, bottom], [right, top], [left, top], [left, bottom]]


def feature(ring: Any, **properties: Any) -> dict[str, Any]:
    geometry = None if ring is None else {"type": "Polygon", "coordinates": [ring]}
    return {"type": "Feature", "properties": properties, "geometry": geometry}


def write_features(path: Path, features: Sequence[Any], epsg: int | None = 32632) -> str:
    """A GeoJSON file with the CRS that GDAL takes, and the OGC's where it is None."""
    collection: dict[str, Any] = {"type": "FeatureCollection", "features": list(features)}
    if epsg is not None:
        name = f"urn:ogc:def:crs:EPSG::{epsg}"
        collection["crs"] = {"type": "name", "properties": {"name": name}}
    path.write_text(json.dumps(collection))
    return str(path)


def write_geopackage(
    path: Path, wkb: Sequence[bytes], names: Sequence[str], *, crs: str = UTM, layer: str = "labels"
) -> str:
    """Writes a GeoPackage with a field `crop` and these bytes as geometries."""
    import sqlite3

    import pyogrio

    any_polygon = shapely.to_wkb(shapely.box(0, 0, 1, 1))
    pyogrio.raw.write(
        str(path),
        geometry=np.array([any_polygon] * len(wkb), dtype=object),
        field_data=[np.array(names, dtype=object)],
        fields=["crop"],
        driver="GPKG",
        geometry_type="Polygon",
        crs=crs,
        layer=layer,
    )
    with sqlite3.connect(path) as connection:
        triggers = "select name from sqlite_master where type = 'trigger'"
        for (trigger,) in connection.execute(triggers).fetchall():
            connection.execute(f'drop trigger "{trigger}"')
        for fid, geometry in enumerate(wkb, start=1):
            (blob,) = connection.execute(
                f"select geom from {layer} where fid = ?", (fid,)
            ).fetchone()
            # The header without an envelope, then the geometry.
            header = bytes([*blob[:3], blob[3] & ~0x0E]) + blob[4:8]
            connection.execute(
                f"update {layer} set geom = ? where fid = ?", (header + geometry, fid)
            )
    connection.close()
    return str(path)


def polygon_wkb(ring: Sequence[Sequence[float]]) -> bytes:
    """A polygon's WKB as it is, closed or not."""
    points = b"".join(struct.pack("<dd", *point) for point in ring)
    return struct.pack("<BIII", 1, 3, 1, len(ring)) + points


def tin_wkb(ring: Sequence[Sequence[float]]) -> bytes:
    """A surface of one triangle."""
    points = b"".join(struct.pack("<dd", *point) for point in ring)
    triangle = struct.pack("<BIII", 1, 17, 1, len(ring)) + points
    return struct.pack("<BII", 1, 16, 1) + triangle


@pytest.fixture
def two_tiles(write_raster: Callable[..., Path], tmp_path: Path) -> Path:  # noqa: F811
    """A folder with the scene `good`: 32 x 64 pixels of 10 m, two tiles."""
    return write_raster(noise(), str(tmp_path / "scenes" / "good.tif")).parent
