"""Builds a scene from only its files' headers, or rejects it with the reason."""

import re
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import PurePath

import numpy as np
from affine import Affine
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.io import DatasetReader

from components.raster.band_names import position_of
from components.raster.library_errors import translated
from components.raster.reasons import Reason
from components.raster.scaling import UNSCALED, Scaling, scaling_of
from components.raster.scene.gdal import grid_of, listed, missing_bytes, opened, pages_of
from components.raster.scene.grid import Grid
from components.raster.scene.labelled_bands import band_labels
from components.raster.scene.orientation import upright_grid
from components.raster.scene.rejects import SceneRejected
from components.raster.scene.scene import (
    Band,
    BandFile,
    MaskBand,
    RasterFile,
    Scene,
    SceneSource,
)

DTYPES = (
    *("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64"),
    *("float32", "float64"),
)

#: Files with larger blocks are refused: a block is decoded whole, however small the tile.
MAX_BLOCK_BYTES = 2**30

# TIFFTAG_DATETIME is not among them: it is the time at which the file was written.
_DATE_TAGS = ("ACQUISITIONDATETIME", "ACQUISITION_DATE", "DATE_ACQUIRED", "SENSING_TIME")
_SENSOR_TAGS = ("SATELLITEID", "SPACECRAFT_ID", "PLATFORM", "SENSOR")


@dataclass(frozen=True)
class _Given:
    """Options of `open_scene` that apply to every file."""

    without_map: bool
    nodata: float | None
    scaling: Scaling | None
    page: int | None
    alone: bool


@dataclass(frozen=True)
class _Header:
    """Scene properties from one open file."""

    bands: tuple[Band, ...]
    acquired: str | None
    sensor: str | None


def open_scene(
    source: SceneSource,
    *,
    wanted: tuple[str | int, ...] = (),
    without_map: bool = False,
    nodata: float | None = None,
    scaling: Scaling | None = None,
    page: int | None = None,
) -> Scene:
    """Reads the headers of a scene's files; no pixel is read.

    Args:
        source: the files, and properties known without them.
        wanted: bands that will be selected; files that hold none of them are not opened.
        without_map: accept a raster without CRS, in pixel coordinates.
        nodata: value of missing measurements in every band, overriding the files.
        scaling: of every band, overriding files and catalogues.
        page: which page of TIFF files that have several, from 1.

    Raises:
        SceneRejected: a file cannot be opened, is truncated, has several pages and none is chosen,
            has no georeference, or no usable band.

    >>> scene = open_scene(SceneSource("north", (BandFile(scene_file),)))
    >>> [band.name for band in scene.bands]
    ['red', 'nir08']
    """
    files = _needed(source, wanted)
    given = _Given(without_map, nodata, scaling, page, alone=len(files) == 1)
    headers = [_probe(source, file, given) for file in files]
    bands = tuple(band for header in headers for band in header.bands)
    if not bands:
        raise SceneRejected(source.scene_id, Reason.NO_BANDS, "no band holds data.")
    _check_names(source.scene_id, bands)
    return Scene(
        scene_id=source.scene_id,
        bands=bands,
        acquired=source.acquired or _first(header.acquired for header in headers),
        sensor=source.sensor or _first(header.sensor for header in headers),
        cloud_cover_percent=source.cloud_cover_percent,
    )


def _needed(source: SceneSource, wanted: tuple[str | int, ...]) -> Sequence[BandFile]:
    """Returns the files to open: all, unless names locate every wanted band."""
    if any(position_of(item) is not None for item in wanted):
        return source.files
    names = [{*file.band_names, *file.common_names, *file.aliases} for file in source.files]
    if not wanted or not set(wanted) <= set().union(*names):
        return source.files
    return [file for file, has in zip(source.files, names, strict=True) if has & set(wanted)]


def _probe(source: SceneSource, file: BandFile, given: _Given) -> _Header:
    def unreadable(why: str) -> SceneRejected:
        return SceneRejected(source.scene_id, Reason.UNREADABLE, why)

    with translated(unreadable), ExitStack() as stack:
        dataset = stack.enter_context(opened(file.path))
        _check_page(source.scene_id, file.path, dataset, given.page)
        if dataset.subdatasets:
            dataset = stack.enter_context(opened(file.path, given.page))
        _check(source.scene_id, file, dataset)
        grid = _placed(source.scene_id, file, dataset, given.without_map)
        return _header(source.scene_id, file, dataset, grid, given)


def _check_page(scene_id: str, path: str, dataset: DatasetReader, page: int | None) -> None:
    """Raises SceneRejected if a file lacks the requested page, or has several without a request."""
    pages = pages_of(dataset)
    count = max(len(pages), 1)
    if page is not None and page > count:
        raise SceneRejected(
            scene_id, Reason.UNKNOWN_PAGE, f"{path} has no page {page}; it has {count}."
        )
    if pages and page is None:
        raise SceneRejected(
            scene_id,
            Reason.SEVERAL_PAGES,
            f"{path} has {count} pages, and nothing says which counts: {listed(pages)}. For "
            "scenes and chips set page; for labels, write the right page to a separate file "
            "(gdal_translate GTIFF_DIR:1:FILE out.tif).",
        )


def _check(scene_id: str, file: BandFile, dataset: DatasetReader) -> None:
    """Raises SceneRejected for a file whose pixels could not be read."""

    def reject(reason: Reason, detail: str) -> SceneRejected:
        return SceneRejected(scene_id, reason, f"{file.path}: {detail}")

    missing = missing_bytes(dataset, file.path)
    if missing:
        raise reject(Reason.TRUNCATED, f"{missing} bytes are missing at its end. Copy it again.")
    bad = sorted({dtype for dtype in dataset.dtypes if dtype not in DTYPES})
    if bad:
        raise reject(Reason.UNSUPPORTED_DTYPE, f"{', '.join(bad)}; {', '.join(DTYPES)} are read.")
    rows, cols = dataset.block_shapes[0]
    compressed = dataset.compression is not None or dataset.driver != "GTiff"
    if compressed and rows * cols * np.dtype(dataset.dtypes[0]).itemsize > MAX_BLOCK_BYTES:
        raise reject(
            Reason.BLOCK_TOO_LARGE,
            f"its blocks are {rows} x {cols} pixels. Rewrite it as a tiled GeoTIFF "
            "(gdal_translate -of COG).",
        )


def _placed(scene_id: str, file: BandFile, dataset: DatasetReader, without_map: bool) -> Grid:
    """Returns a file's grid; with `without_map`, one without a CRS if its own is not on the earth.

    Raises:
        SceneRejected: its pixels have no location.
    """

    def reject(reason: Reason, detail: str) -> SceneRejected:
        return SceneRejected(scene_id, reason, f"{file.path}: {detail}")

    grid = grid_of(dataset)
    if not np.isfinite(grid.transform[:6]).all() or not grid.transform.determinant:
        raise reject(Reason.NO_TRANSFORM, "its transform gives its pixels no extent.")
    if grid.crs is None and dataset.gcps[0]:
        raise reject(
            Reason.ONLY_CONTROL_POINTS,
            "it has ground control points and no transform. Warp it with gdalwarp first.",
        )
    if grid.crs is None and not without_map:
        raise reject(
            Reason.NO_CRS,
            "it has no coordinate reference system. Give it one with gdal_edit.py -a_srs, "
            "or set without_map (--without-map) to tile it in pixel coordinates.",
        )
    if without_map:
        grid = grid.on_earth()
    if grid.crs is not None and grid.transform == Affine.identity():
        raise reject(
            Reason.NO_TRANSFORM,
            "it names a coordinate reference system and has no transform, so its place is unknown.",
        )
    fault = None if grid.crs is None else grid.fault_of_place()
    if fault:
        raise reject(
            Reason.NOT_ON_EARTH,
            f"{fault}. Give it its true system with gdal_edit.py -a_srs, or set without_map "
            "(--without-map) to tile it in pixel coordinates.",
        )
    return grid


def _header(
    scene_id: str, file: BandFile, dataset: DatasetReader, grid: Grid, given: _Given
) -> _Header:
    raster = _raster_file(file.path, dataset, grid, given.page)
    indexes = [index for index in dataset.indexes if index != raster.alpha_index]
    tags = {key.upper(): value for key, value in dataset.tags().items()}
    tags |= dataset.tags(ns="IMAGERY")
    sensor = _first(tags.get(name) for name in _SENSOR_TAGS)
    labels = band_labels(scene_id, file, dataset, indexes, alone=given.alone, sensor=sensor)
    scalings = _scalings(scene_id, file, dataset, indexes, given.scaling)
    bands = []
    for position, (index, label) in enumerate(zip(indexes, labels, strict=True)):
        own = dataset.nodatavals[index - 1]
        bands.append(
            Band(
                name=label.name,
                file=raster,
                index=index,
                nodata=own if given.nodata is None else given.nodata,
                common_name=label.common_name,
                aliases=label.aliases,
                scaling=scalings[position],
            )
        )
    return _Header(
        tuple(bands),
        _first(_iso(tags.get(name)) for name in _DATE_TAGS),
        sensor,
    )


def _raster_file(path: str, dataset: DatasetReader, stored: Grid, page: int | None) -> RasterFile:
    grid, orientation = upright_grid(stored)
    flags = dataset.mask_flag_enums[0]
    alpha = [i for i in dataset.indexes if dataset.colorinterp[i - 1] == ColorInterp.alpha]
    mask = MaskBand.NONE
    if MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags:
        mask = MaskBand.DATASET
    elif not flags:
        mask = MaskBand.BAND
    return RasterFile(
        path=path,
        grid=grid,
        dtype=str(dataset.dtypes[0]),
        count=dataset.count,
        block_shape=orientation.shape(*dataset.block_shapes[0]),
        mask_band=mask,
        alpha_index=alpha[0] if alpha and dataset.count > 1 else None,
        overviews=tuple(dataset.overviews(1)),
        orientation=orientation,
        page=page,
    )


def _scalings(
    scene_id: str,
    file: BandFile,
    dataset: DatasetReader,
    indexes: Sequence[int],
    given: Scaling | None,
) -> Sequence[Scaling]:
    """Returns scale and offset of each band: as given, else the source's, else the file's.

    Raises SceneRejected if source and file contradict each other, or the values cannot be applied.
    """
    if given is not None:
        return [given] * len(indexes)
    try:
        own = [scaling_of(dataset.scales[i - 1], dataset.offsets[i - 1]) for i in indexes]
    except ValueError as error:
        raise _bad_scaling(scene_id, f"{file.path}: its {error}") from error
    stated = file.scalings * len(indexes) if len(file.scalings) == 1 else file.scalings
    if not stated:
        return own
    if len(stated) < len(indexes):
        detail = f"its metadata state scale and offset of {len(stated)} of {len(indexes)} bands"
        raise _bad_scaling(scene_id, f"{file.path}: {detail}")
    for of_file, of_source in zip(own, stated, strict=False):
        if of_file != UNSCALED and of_file.rounded != of_source.rounded:
            detail = f"the file says {of_file}, the metadata beside it {of_source}"
            raise _bad_scaling(scene_id, f"{file.path}: {detail}")
    return stated


def _bad_scaling(scene_id: str, detail: str) -> SceneRejected:
    remedy = "Set scale and offset yourself, or values: stored."
    return SceneRejected(scene_id, Reason.BAD_METADATA, f"{detail}. {remedy}")


def _check_names(scene_id: str, bands: Sequence[Band]) -> None:
    names = [band.name for band in bands]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        files = sorted({PurePath(band.file.path).name for band in bands if band.name in twice})
        raise SceneRejected(
            scene_id,
            Reason.AMBIGUOUS_BAND,
            f"two bands are called {', '.join(twice)} (in {', '.join(files[:4])}). "
            "Name the bands by band_names or band_pattern, and put the files of each acquisition "
            "into a separate folder.",
        )


def _iso(text: str | None) -> str | None:
    """Converts a TIFF tag's date, written with colons, to ISO 8601; None if it is not a date."""
    match = re.match(r"(\d{4})[-:](\d\d)[-:](\d\d)(.*)$", text or "")
    return f"{match[1]}-{match[2]}-{match[3]}{match[4]}" if match else None


def _first(values: Iterable[str | None]) -> str | None:
    return next((value for value in values if value), None)
