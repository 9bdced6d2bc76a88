"""Polygons, boxes and points from vector files, checked one by one.

Polygons that cross themselves are repaired by keeping the area that they enclose (GEOS's method
"structure": each ring is made valid, and holes are subtracted), or rejected, as configured. Lines
have no area and are rejected.
"""

import os
import re
import warnings
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import shapely
from pydantic import Field

from components.raster.errors import ConfigError, DataError
from components.raster.frozen import Frozen
from components.raster.labels.rejects import LabelReject
from components.raster.library_errors import LibraryError, translated
from components.raster.location import Location, is_remote
from components.raster.reasons import Reason
from components.raster.scene.grid import crs_of, crs_text
from components.raster.text import ClassName, Encoding, composed

Geometries = npt.NDArray[np.object_]

SUFFIXES = (".geojson", ".json", ".gpkg", ".fgb", ".shp")
_POLYGONS = (shapely.GeometryType.POLYGON, shapely.GeometryType.MULTIPOLYGON)
_POINTS = (shapely.GeometryType.POINT, shapely.GeometryType.MULTIPOINT)
#: Last of the WKB geometry types that GEOS supports: no curves, surfaces or triangles.
_LAST_KIND = 7
#: Limit of coordinates in any unit; GEOS overflows with much larger numbers.
_FARTHEST = 1e12

#: Offset of a .dbf header's code page, and its values for none: nothing, and "ANSI", which is
#: the code page of the machine that wrote it.
_CODE_PAGE_AT, _NO_CODE_PAGES = 29, (b"\0", b"\x57", b"")

Refusals = dict[int, tuple[Reason, str]]


class VectorLabels(Frozen):
    """A file of labelled shapes, and the meaning of its fields."""

    path: Location = Field(description="GeoJSON, GeoPackage, FlatGeobuf or Shapefile")
    layer: str | None = Field(default=None, description="layer of a file with several")
    encoding: Encoding | None = Field(
        default=None,
        description="text encoding, such as cp1252; default: as the file states, or UTF-8",
    )
    class_field: str | None = Field(
        default=None, description="field that holds the class; default: every shape has class_name"
    )
    class_name: ClassName = Field(
        default="object", description="Class of every shape, if there is no class_field."
    )
    number_field: str | None = Field(
        default=None, description="field that holds the number to predict"
    )
    crossing: Literal["repair", "reject"] = Field(
        default="repair", description="what to do with polygons that cross themselves"
    )


@dataclass(frozen=True, eq=False)
class LabelSet:
    """The usable shapes of a file, in the file's own CRS and order.

    Attributes:
        crs: of the geometries.
        numbers: feature ids, to name a label in a message.
        geometries: polygons or points; multi-part ones stay one label.
        classes: class name of each.
        values: number of each; NaN if no field was named.
        rejects: labels that were left out.
        repaired: ids of polygons that were repaired.
    """

    source: str
    crs: str
    numbers: npt.NDArray[np.int64]
    geometries: Geometries
    classes: npt.NDArray[np.str_]
    values: npt.NDArray[np.float64]
    rejects: tuple[LabelReject, ...] = field(default=())
    repaired: tuple[int, ...] = field(default=())

    @property
    def class_names(self) -> tuple[str, ...]:
        """All classes that occur, sorted."""
        return tuple(sorted(set(self.classes.tolist())))

    def reject(self, place: int, reason: Reason, detail: str) -> LabelReject:
        """Builds the reject of the label at an index."""
        return LabelReject(self.source, int(self.numbers[place]), reason, detail)


def read_labels(config: VectorLabels) -> LabelSet:
    """Reads a file of labelled shapes.

    Raises:
        DataError: the file cannot be read, has no CRS, or holds no usable shape.
        ConfigError: a field or layer does not exist.
    """
    meta, numbers, encoded, fields = _read(config)
    classes, values = _attributes(config, fields, len(encoded))
    rejects: Refusals = {}
    for place, name in enumerate(classes):
        if not name:
            rejects[place] = Reason.NO_CLASS, f"{config.class_field} is empty."
    if config.number_field:
        for place in np.flatnonzero(~np.isfinite(values)).tolist():
            rejects[place] = Reason.NO_NUMBER, f"{config.number_field} is not a finite number."
    # Coordinates that are not numbers become rejects, without warnings.
    with np.errstate(invalid="ignore", over="ignore"), _of_file(config.path):
        geometries, repaired = _usable(_decoded(encoded, rejects), config.crossing, rejects)
    kept = [place for place in range(len(geometries)) if place not in rejects]
    if not kept:
        reasons = ", ".join(sorted({reason for reason, _ in rejects.values()})) or "it is empty"
        such_as = [f" (such as feature {numbers[it]}: {rejects[it][1]})" for it in sorted(rejects)]
        raise DataError(f"{config.path} holds no usable label: {reasons}{''.join(such_as[:1])}")
    return LabelSet(
        source=config.path,
        crs=_crs(config.path, meta),
        numbers=numbers[kept],
        geometries=geometries[kept],
        classes=np.array([classes[place] for place in kept]),
        values=values[kept],
        rejects=tuple(
            LabelReject(config.path, int(numbers[place]), *why)
            for place, why in sorted(rejects.items())
        ),
        repaired=tuple(int(numbers[place]) for place in repaired if place not in rejects),
    )


def _read(
    config: VectorLabels,
) -> tuple[Mapping[str, Any], npt.NDArray[np.int64], Geometries, Mapping[str, Any]]:
    if not config.path.lower().endswith(SUFFIXES):
        raise ConfigError(f"Labels {config.path!r} lack a known suffix: {', '.join(SUFFIXES)}.")
    if not is_remote(config.path) and not os.path.isfile(config.path):
        raise DataError(f"Labels {config.path} do not exist.")
    # It loads pandas, which takes longer than all other work of a worker without shapes.
    import pyogrio

    wanted = [name for name in (config.class_field, config.number_field) if name]

    with warnings.catch_warnings(), _of_file(config.path):
        # GDAL's warnings about single features are replaced by checks of each feature.
        warnings.simplefilter("ignore", RuntimeWarning)
        layer = _layer_of(config, pyogrio.list_layers(config.path).tolist())
        encoding = config.encoding or _undeclared_encoding(config.path)
        info = pyogrio.read_info(config.path, layer=layer, encoding=encoding)
        known = info["fields"].tolist()
        missing = [name for name in wanted if name not in known]
        if missing:
            have = ", ".join(known) or "none"
            raise ConfigError(f"{config.path} has no field {', '.join(missing)}; it has {have}.")
        try:
            meta, numbers, encoded, columns = pyogrio.raw.read(
                config.path, layer=layer, columns=wanted, return_fids=True, encoding=encoding
            )
        except UnicodeDecodeError as failure:
            raise LibraryError(
                f"its text is not in {failure.encoding}; set encoding, such as cp1252"
            ) from failure
    fields = dict(zip(meta["fields"].tolist(), columns, strict=True))
    return meta, numbers, encoded, fields


def _layer_of(config: VectorLabels, layers: Sequence[tuple[str, str | None]]) -> str | None:
    """Returns the layer to read: the named one, or the only one that has geometries.

    Raises ConfigError if there is no such layer, or several could be meant.
    """
    names = [name for name, _ in layers]
    drawn = [name for name, kind in layers if kind is not None]
    if config.layer is not None and config.layer not in names:
        have = ", ".join(names) or "none"
        raise ConfigError(f"{config.path} has no layer {config.layer!r}; it has {have}.")
    if config.layer is None and len(drawn) > 1:
        raise ConfigError(
            f"{config.path} has the layers {', '.join(drawn)}. Name the one that is meant: layer, "
            "or area_layer for an area of interest."
        )
    return config.layer or (drawn[0] if drawn else None)


def _undeclared_encoding(path: str) -> str | None:
    """Returns UTF-8 for a Shapefile that declares no encoding; None for other files.

    GDAL reads such text as Latin-1, which any bytes are: every name would be read, many wrongly.
    """
    table = Path(path).with_suffix(".dbf")
    if not path.lower().endswith(".shp") or not table.is_file():
        return None
    with table.open("rb") as file:
        header = file.read(_CODE_PAGE_AT + 1)
    if header[_CODE_PAGE_AT:] not in _NO_CODE_PAGES:
        return None
    side_files = (table.with_suffix(suffix) for suffix in (".cpg", ".CPG"))
    named = next((it.read_text(errors="replace").strip() for it in side_files if it.is_file()), "")
    return None if _is_encoding(named) else "utf-8"


def _is_encoding(name: str) -> bool:
    """Checks whether a .cpg file names an encoding: a number (`1252`, `ISO 88591`) or a name."""
    try:
        return bool(re.search(r"\d", name)) or "".encode(name) == b""
    except (LookupError, ValueError):
        return False


def _of_file(path: str) -> AbstractContextManager[None]:
    """Turns a library's exceptions in the block into an error of the whole file."""
    return translated(lambda why: DataError(f"Labels {path} cannot be read: {why}."))


def _decoded(encoded: npt.NDArray[np.object_], rejects: Refusals) -> Geometries:
    """Decodes WKB geometries; None for those that GEOS refuses, which are added to the rejects."""
    try:
        with translated():
            geometries: Geometries = shapely.from_wkb(encoded)
            return geometries
    except LibraryError:  # one bad geometry fails them all: find it
        geometries = np.full(len(encoded), None, np.object_)
    for place, blob in enumerate(encoded.tolist()):
        try:
            with translated():
                geometries[place] = shapely.from_wkb(blob)
        except LibraryError as error:
            kind = int.from_bytes(blob[1:5], "little" if blob[0] else "big") & 0xFFFF
            known = kind % 1000 <= _LAST_KIND  # ISO adds thousands for heights and measures
            reason = Reason.BROKEN_GEOMETRY if known else Reason.UNSUPPORTED_GEOMETRY
            rejects[place] = reason, f"{error}."
    return geometries


def _attributes(
    config: VectorLabels, fields: Mapping[str, Any], count: int
) -> tuple[list[str], npt.NDArray[np.float64]]:
    if config.class_field:
        classes = [_class_text(value) for value in fields[config.class_field]]
    else:
        classes = [config.class_name] * count
    if not config.number_field:
        return classes, np.full(count, np.nan)
    try:
        return classes, np.asarray(fields[config.number_field], dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{config.path}: field {config.number_field} is not a number.") from error


def _class_text(value: object) -> str:
    if value is None or (isinstance(value, float | np.floating) and not np.isfinite(value)):
        return ""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        # Integer fields with gaps are read as floating point.
        return str(int(value))
    return composed(str(value).strip())


def _crs(path: str, meta: Mapping[str, Any]) -> str:
    if not meta["crs"]:
        raise DataError(
            f"Labels {path} name no coordinate reference system. Write them again with one "
            "(ogr2ogr -a_srs)."
        )
    with translated(lambda why: DataError(f"Labels {path}: their system cannot be used: {why}.")):
        text = crs_text(crs_of(meta["crs"]))
    assert text is not None
    return text


def _usable(
    geometries: Geometries,
    crossing: Literal["repair", "reject"],
    rejects: Refusals,
) -> tuple[Geometries, list[int]]:
    """Returns repaired geometries and their indexes; adds unusable ones to the rejects."""
    geometries = shapely.force_2d(geometries)
    kinds = shapely.get_type_id(geometries)
    empty = shapely.is_missing(geometries) | shapely.is_empty(geometries)
    for place in np.flatnonzero(empty).tolist():
        rejects.setdefault(place, (Reason.EMPTY_GEOMETRY, "it has no geometry."))
    for place in _nowhere(geometries):
        why = f"its coordinates are not all finite numbers below {_FARTHEST:g}."
        rejects[place] = Reason.BROKEN_GEOMETRY, why
    for place in np.flatnonzero(~empty & ~np.isin(kinds, [*_POLYGONS, *_POINTS])).tolist():
        name = shapely.GeometryType(kinds[place]).name.lower()
        rejects[place] = Reason.UNSUPPORTED_GEOMETRY, f"{name} has no area."
    invalid = np.flatnonzero(np.isin(kinds, _POLYGONS) & ~shapely.is_valid(geometries)).tolist()
    repaired = []
    for place in (place for place in invalid if place not in rejects):
        try:
            with translated():
                why = shapely.is_valid_reason(geometries[place])
                whole = made_valid(geometries[place])
        except LibraryError as error:
            rejects[place] = Reason.BROKEN_GEOMETRY, f"{error}."
            continue
        if crossing == "reject" or not whole.area:
            rejects[place] = Reason.SELF_CROSSING, f"{why}."
        else:
            geometries[place] = whole
            repaired.append(place)
    return geometries, repaired


def made_valid(geometry: shapely.Geometry) -> shapely.Geometry:
    """Returns the area that a polygon's rings enclose, repaired as the module describes."""
    return shapely.make_valid(geometry, method="structure", keep_collapsed=False)


def _nowhere(geometries: Geometries) -> list[int]:
    """Returns indices of geometries with a coordinate that is not finite or out of bounds."""
    points, owners = shapely.get_coordinates(geometries, return_index=True)
    found: list[int] = np.unique(owners[~(np.abs(points) < _FARTHEST).all(axis=1)]).tolist()
    return found
