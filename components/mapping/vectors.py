"""Vector files of a map: GeoParquet, FlatGeobuf, GeoPackage, GeoJSON."""

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from components.mapping.config import VectorFormat
from components.mapping.lonlat import reaches_a_pole, to_lonlat
from components.mapping.product import Output
from components.raster.library_errors import translated
from components.raster.scene.grid import LONLAT, crs_of

_MEDIA_TYPES: dict[VectorFormat, str] = {
    "parquet": "application/vnd.apache.parquet",
    "fgb": "application/vnd.flatgeobuf",
    "gpkg": "application/geopackage+sqlite3",
    "geojson": "application/geo+json",
}
#: GDAL's driver and options of layers. GeoJSON follows RFC 7946: longitude and latitude, polygons
#: cut at the date line. It is precise to a tenth of a millimetre: GDAL's default, a centimetre,
#: moves the corners of fine pixels and makes polygons touch themselves.
_DRIVERS: dict[VectorFormat, tuple[str, Mapping[str, str]]] = {
    "fgb": ("FlatGeobuf", {}),
    "gpkg": ("GPKG", {}),
    "geojson": ("GeoJSON", {"RFC7946": "YES", "COORDINATE_PRECISION": "9"}),
}

#: Parts into which an edge as long as the extent of all geometries is divided.
_PARTS = 64


@dataclass(frozen=True, eq=False)
class Features:
    """Geometries of one type with their columns.

    Attributes:
        name: of files and layers.
        title: for people.
        kind: their type, `Polygon` or `Point`.
        crs: of the coordinates; None for pixel coordinates.
        geometries: (N,) of shapely.
        columns: (N,) each, by name.
    """

    name: str
    title: str
    kind: str
    crs: str | None
    geometries: npt.NDArray[np.object_]
    columns: Mapping[str, npt.NDArray[Any]]


def write_vectors(
    features: Features, formats: Sequence[VectorFormat], folder: Path
) -> list[Output]:
    """Writes a file of each format.

    GeoJSON is left out for a map in pixel coordinates: it allows only longitude and latitude.
    """
    outputs = []
    for suffix in formats:
        if suffix == "geojson" and features.crs is None:
            continue
        path = folder / f"{features.name}.{suffix}"
        with translated():
            if suffix == "parquet":
                _write_parquet(features, path)
            elif suffix == "geojson":
                divided = _right_at_poles(_along_curves(features))
                _write_layer(divided, path, *_DRIVERS[suffix])
            else:
                _write_layer(features, path, *_DRIVERS[suffix])
        key = f"{features.name}_{suffix}"
        outputs.append(Output(key, path, _MEDIA_TYPES[suffix], features.title))
    return outputs


def _along_curves(features: Features) -> Features:
    """Divides long edges, which are straight on the map and curved in longitude and latitude.

    Over the 100 km of a Sentinel-2 scene at 48 degrees they deviate by 200 m; divided, by 5 cm.
    """
    if features.crs is None or not len(features.geometries) or crs_of(features.crs).is_geographic:
        return features
    west, south, east, north = shapely.total_bounds(features.geometries)
    longest = max(east - west, north - south) / _PARTS
    divided = shapely.segmentize(features.geometries, longest) if longest else features.geometries
    return replace(features, geometries=divided)


def _right_at_poles(features: Features) -> Features:
    """Converts polygons to longitude and latitude where GDAL may fail to: if one reaches a pole."""
    crs = features.crs
    if (
        crs is None
        or features.kind != "Polygon"
        or not reaches_a_pole(features.geometries, crs).any()
    ):
        return features
    return replace(features, geometries=to_lonlat(features.geometries, crs), crs=LONLAT)


def _write_layer(features: Features, path: Path, driver: str, options: Mapping[str, str]) -> None:
    import pyogrio.raw

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of pixel coordinates, which have no CRS
        pyogrio.raw.write(
            path,
            geometry=shapely.to_wkb(features.geometries),
            field_data=[_plain(column) for column in features.columns.values()],
            fields=list(features.columns),
            geometry_type=features.kind,
            crs=None if features.crs is None else crs_of(features.crs).to_wkt(),
            driver=driver,
            layer=features.name,
            **options,
        )


def _plain(column: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return column.astype(object) if column.dtype.kind == "U" else column


def _write_parquet(features: Features, path: Path) -> None:
    """Writes GeoParquet 1.1: WKB, and the bounds of each geometry as its covering."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    bounds = shapely.bounds(features.geometries).astype(np.float64)
    edges = ("xmin", "ymin", "xmax", "ymax")
    covering = pa.StructArray.from_arrays(
        [pa.array(np.ascontiguousarray(bounds[:, place])) for place in range(4)], edges
    )
    table = pa.table(
        {
            **{name: pa.array(_plain(column)) for name, column in features.columns.items()},
            "bbox": covering,
            "geometry": pa.array(shapely.to_wkb(features.geometries), pa.binary()),
        }
    )
    geometry: dict[str, Any] = {
        "encoding": "WKB",
        "geometry_types": [features.kind] if len(bounds) else [],
        "crs": None if features.crs is None else crs_of(features.crs).to_dict(projjson=True),
        "covering": {"bbox": {edge: ["bbox", edge] for edge in edges}},
    }
    if len(bounds):
        geometry["bbox"] = [*bounds[:, :2].min(axis=0), *bounds[:, 2:].max(axis=0)]
    document = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": geometry}}
    table = table.replace_schema_metadata({"geo": json.dumps(document)})
    pq.write_table(table, path, compression="zstd", row_group_size=65_536)
