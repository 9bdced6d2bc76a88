"""Conversion of a raster file to the payload that a model of rasters takes; needs rasterio.

Ingest's code reads bands, masks and nodata, so a file is sent exactly as it would have been
ingested for training.
"""

from pathlib import Path

from components.raster.errors import DataError
from components.raster.payload import MAX_SAMPLES, encode_payload
from components.raster.scaling import scaling_given
from components.raster.scene.calibration import Calibration, calibrated_scene
from components.raster.scene.probe import open_scene
from components.raster.scene.scene import BandFile, SceneSource
from components.raster.tiles.reading import read_chip
from components.raster.tiles.tile import TileReject
from components.raster.tiles.view import View, check_samples, scaling_to_read, view_scene
from serving.client.raster_reading import RasterReading


def geotiff_payload(path: Path, reading: RasterReading) -> bytes:
    """Returns the payload of a whole file, as one tile.

    Raises:
        SkymillError: it cannot be read, lacks a wanted band (the message names it and the bands of
            the file), is too large for one tile, differs too much from the training tiles, has no
            valid pixel, or has a sample type that a payload cannot hold.
    """
    file = BandFile(str(path), reading.band_names)
    source = calibrated_scene(SceneSource(path.name, (file,)), Calibration())
    given = scaling_given(reading.scale, reading.offset)
    scene = open_scene(
        source,
        without_map=True,
        nodata=reading.nodata,
        scaling=scaling_to_read(reading.values, given),
        page=reading.page,
    )
    view = view_scene(
        scene,
        reading.bands,
        dtype=reading.dtype,
        valid_when=reading.valid_when,
        values=reading.values,
    )
    check_samples(view)
    _check_size(path, view)
    _check_likeness(path, view, reading)
    tile = read_chip(view)
    if isinstance(tile, TileReject):
        raise DataError(f"{path}: {tile.detail}")
    if not tile.valid.any():
        raise DataError(
            f"{path}: none of its pixels are valid; they are nodata, masked, NaN or infinite."
        )
    names = reading.bands or tuple(band.name for band in view.bands)
    valid = None if tile.valid.all() else tile.valid
    scalings = view.scalings if reading.values is None else None
    return encode_payload(tile.pixels, names, valid, reading.values, scalings)


def _check_size(path: Path, view: View) -> None:
    rows, cols, count = view.grid.height_px, view.grid.width_px, len(view.bands)
    if rows * cols * count > MAX_SAMPLES:
        raise DataError(
            f"{path}: {rows} x {cols} pixels of {count} bands are too many for one tile; "
            "cut it into tiles of the size that the model was trained on."
        )


def _check_likeness(path: Path, view: View, reading: RasterReading) -> None:
    if reading.tiles is None:
        return
    grid = view.grid
    differ = reading.tiles.differ_from(grid.height_px, grid.width_px, grid.gsd_m)
    if differ:
        raise DataError(f"{path}: {differ}, or send it anyway (--any-size, any_size=True).")
