"""Rasters of a map: a scratch file that grows window by window, and the COG made of it at the end.

GDAL's driver COG needs all pixels at once, so a map is first written to a GeoTIFF that is not
compressed: its blocks never move, so that windows can be written in any order and again, and a
killed process leaves a file that can be continued.
"""

import errno
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
import rasterio.shutil
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning
from rasterio.windows import Window as RasterioWindow

from components.raster.full_disk import DiskFull, message
from components.raster.library_errors import LibraryError, translated
from components.raster.pictures.colours import RGB
from components.raster.scene.gdal import gdal_env, missing_bytes
from components.raster.scene.grid import Grid, crs_of
from components.raster.tiles.key import Window

_BLOCK_PX = 512
#: With less room on a disk, a write that failed is taken to have failed for that.
_NO_ROOM_BYTES = 1 << 20


@dataclass(frozen=True)
class RasterSpec:
    """A raster of a map.

    Attributes:
        name: of the file, without its suffix.
        grid: its pixels.
        dtype: of the samples.
        nodata: where nothing is known.
        bands: a description of each.
        colours: of values from 0 on, for a raster of classes.
        scale: from stored numbers to values.
        tags: of the first band.
        overviews: how smaller copies are made.
    """

    name: str
    grid: Grid
    dtype: str
    nodata: float
    bands: tuple[str, ...]
    colours: tuple[RGB, ...] = ()
    scale: float = 1.0
    tags: Mapping[str, str] = field(default_factory=dict)
    overviews: str = "NEAREST"


class Scratch:
    """The growing raster; every pixel is nodata until it is written."""

    def __init__(self, spec: RasterSpec, folder: Path) -> None:
        self.spec = spec
        self.path = folder / f"{spec.name}.scratch.tif"

    def create(self) -> None:
        """Writes the file with no pixel known."""
        spec = self.spec
        profile: dict[str, Any] = {
            "driver": "GTiff",
            "dtype": spec.dtype,
            "count": len(spec.bands),
            "height": spec.grid.height_px,
            "width": spec.grid.width_px,
            "transform": spec.grid.transform,
            "crs": None if spec.grid.crs is None else crs_of(spec.grid.crs),
            "nodata": spec.nodata,
            "tiled": True,
            "blockxsize": _BLOCK_PX,
            "blockysize": _BLOCK_PX,
            "interleave": "band",
            "BIGTIFF": "IF_SAFER",
        }
        with _writing(self.path), rasterio.open(self.path, "w", **profile) as dataset:
            dataset.descriptions = spec.bands
            dataset.update_tags(1, **spec.tags)
            if spec.scale != 1:
                dataset.scales = (spec.scale,) * len(spec.bands)
            if spec.colours:
                dataset.write_colormap(1, dict(enumerate(_palette(spec))))
            elif len(spec.bands) > 1:  # else the fourth band would be taken for transparency
                dataset.colorinterp = [ColorInterp.gray] + [ColorInterp.undefined] * (
                    len(spec.bands) - 1
                )
        self._check_size()

    def _check_size(self) -> None:
        """Checks that all blocks are there: GDAL tells of a full disk in its log alone."""
        spec = self.spec
        pixels = spec.grid.height_px * spec.grid.width_px * len(spec.bands)
        with _writing(self.path):
            if self.path.stat().st_size < pixels * np.dtype(spec.dtype).itemsize:
                raise OSError(f"{self.path} could not be written whole")

    def write(self, window: Window, pixels: npt.NDArray[np.generic]) -> None:
        """Writes (H, W) or (C, H, W) pixels of a window."""
        where = RasterioWindow(window.col, window.row, window.width, window.height)
        with _writing(self.path), rasterio.open(self.path, "r+") as dataset:
            dataset.write(pixels if pixels.ndim == 3 else pixels[np.newaxis], window=where)

    def sync(self) -> None:
        """Waits until the disk has what was written."""
        handle = os.open(self.path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def to_cog(self, folder: Path) -> Path:
        """Writes the Cloud Optimized GeoTIFF with its overviews, and removes the scratch file."""
        target = folder / f"{self.spec.name}.tif"
        with _writing(target):
            rasterio.shutil.copy(
                self.path,
                target,
                driver="COG",
                COMPRESS="DEFLATE",
                BLOCKSIZE=_BLOCK_PX,
                OVERVIEW_RESAMPLING=self.spec.overviews,
                BIGTIFF="IF_SAFER",
                NUM_THREADS="ALL_CPUS",
            )
            _check_cog(target)
        self.path.unlink()
        return target


def _check_cog(path: Path) -> None:
    """Raises OSError where a file is not whole: GDAL tells of a full disk in its log alone."""
    with rasterio.open(path) as dataset:
        missing = missing_bytes(dataset, str(path))
    if missing or _room(path) < _NO_ROOM_BYTES:
        raise OSError(f"{path} could not be written whole")


def _room(path: Path) -> int:
    """Returns the bytes that are left on the disk of a file."""
    status = os.statvfs(path.parent)
    return status.f_bavail * status.f_frsize


def _palette(spec: RasterSpec) -> Sequence[tuple[int, ...]]:
    """Returns a colour for each of 256 values; those that are no class are transparent."""
    return [*spec.colours, *[(0, 0, 0, 0)] * (256 - len(spec.colours))]


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Sets GDAL up for writing a file; a raster without a map is no reason for a warning.

    Raises:
        DiskFull: GDAL failed, and there is no room left; its own message does not say so.
        LibraryError: it failed for another reason.
    """
    try:
        with warnings.catch_warnings(), gdal_env("", os.cpu_count() or 1), translated():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            yield
    except LibraryError as error:
        if _room(path) < _NO_ROOM_BYTES:
            full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            raise DiskFull(message(full, {})) from error
        raise
