"""Rasters of a map: a scratch file that grows window by window, and the COG made of it at the end.

GDAL's driver COG needs all pixels at once, so a map is first written to a GeoTIFF that is not
compressed: its blocks never move, so that windows can be written in any order and again, and a
killed process leaves a file that can be continued. Overviews are halved from it beforehand, which
takes a fraction of GDAL's own time; files named `.ovr`, `.ovr.ovr` and so on are what it looks for.
"""

import errno
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import rasterio
import rasterio.shutil
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import DatasetWriter
from rasterio.windows import Window as RasterioWindow

from components.mapping.config import Compression
from components.raster.full_disk import DiskFull, message
from components.raster.library_errors import LibraryError, translated
from components.raster.opencv import opencv
from components.raster.pictures.colours import RGB
from components.raster.scene.gdal import gdal_env, missing_bytes
from components.raster.scene.grid import Grid, crs_of
from components.raster.tiles.key import Window

_BLOCK_PX = 512
#: Higher ones of DEFLATE take two to four times as long for a few percent of noisy ground.
_LEVEL = 1
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
        overviews: pixels of smaller copies are one of four, or the mean of those that are known.
    """

    name: str
    grid: Grid
    dtype: str
    nodata: float
    bands: tuple[str, ...]
    colours: tuple[RGB, ...] = ()
    scale: float = 1.0
    tags: Mapping[str, str] = field(default_factory=dict)
    overviews: Literal["nearest", "mean"] = "nearest"


def spec_of_steps(
    name: str, grid: Grid, bands: tuple[str, ...], step: float, nodata: int
) -> RasterSpec:
    """Describes a raster of numbers stored in steps, as bytes; smaller copies have means."""
    return RasterSpec(name, grid, "uint8", nodata, bands, scale=step, overviews="mean")


class Scratch:
    """The growing raster; every pixel is nodata until it is written."""

    def __init__(self, spec: RasterSpec, folder: Path) -> None:
        self.spec = spec
        self.path = folder / f"{spec.name}.scratch.tif"
        self._open: DatasetWriter | None = None

    @property
    def _half(self) -> "Scratch":
        """The next overview."""
        grid = self.spec.grid
        half = replace(grid, height_px=-(-grid.height_px // 2), width_px=-(-grid.width_px // 2))
        smaller = Scratch(replace(self.spec, grid=half), self.path.parent)
        smaller.path = self.path.with_name(f"{self.path.name}.ovr")
        return smaller

    def create(self) -> None:
        """Writes the file with no pixel known."""
        with self._created():
            pass

    @contextmanager
    def _created(self) -> Iterator[DatasetWriter]:
        """Creates the file, and checks at the end that it is whole."""
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
            yield dataset
        self._check_size()

    def _check_size(self) -> None:
        """Checks that all blocks are there: GDAL reports a full disk only in its log."""
        spec = self.spec
        pixels = spec.grid.height_px * spec.grid.width_px * len(spec.bands)
        with _writing(self.path):
            if self.path.stat().st_size < pixels * np.dtype(spec.dtype).itemsize:
                raise OSError(f"{self.path} could not be written whole")

    def write(self, window: Window, pixels: npt.NDArray[np.generic]) -> None:
        """Writes (H, W) or (C, H, W) pixels of a window; the file stays open for the next one."""
        with _writing(self.path):
            if self._open is None:
                self._open = rasterio.open(self.path, "r+")
            _write(self._open, window, pixels if pixels.ndim == 3 else pixels[np.newaxis])

    def flush(self) -> None:
        """Hands what was written to the system."""
        if self._open is not None:
            with _writing(self.path):
                self._open.close()
            self._open = None

    def sync(self) -> None:
        """Waits until the disk has what was written."""
        self.flush()
        handle = os.open(self.path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def rows(self) -> Iterator[tuple[Window, npt.NDArray[np.generic]]]:
        """Yields windows of whole rows with their pixels (C, H, W); all but the last are even."""
        self.flush()
        height, width = self.spec.grid.height_px, self.spec.grid.width_px
        with gdal_env(""), _without_warning(), rasterio.open(self.path) as dataset:
            for top in range(0, height, _BLOCK_PX):
                window = Window(top, 0, min(_BLOCK_PX, height - top), width)
                where = RasterioWindow(0, top, width, window.height)
                yield window, dataset.read(window=where)

    def to_cog(self, folder: Path, compression: Compression) -> Path:
        """Writes the Cloud Optimized GeoTIFF with its overviews.

        The scratch file stays until the map is in its place: a run that is killed before that
        continues with it.
        """
        self.flush()
        target = folder / f"{self.spec.name}.tif"
        overviews = self._write_overviews()
        with _writing(target):
            rasterio.shutil.copy(
                self.path,
                target,
                driver="COG",
                COMPRESS=compression.upper(),
                LEVEL=_LEVEL,
                # Classes have long runs, which differences of neighbours only cost time.
                PREDICTOR="NO" if self.spec.overviews == "nearest" else "YES",
                BLOCKSIZE=_BLOCK_PX,
                BIGTIFF="IF_SAFER",
                NUM_THREADS="ALL_CPUS",
            )
            _check_cog(target)
        for path in overviews:
            path.unlink()
        return target

    def _write_overviews(self) -> list[Path]:
        """Writes halves of halves until one fits into a block; returns their files."""
        if max(self.spec.grid.height_px, self.spec.grid.width_px) <= _BLOCK_PX:
            return []
        smaller = self._half
        with smaller._created() as dataset:
            for window, pixels in self.rows():
                halved = half_of(pixels, self.spec.nodata, self.spec.overviews)
                _write(dataset, Window(window.row // 2, 0, *halved.shape[1:]), halved)
        return [smaller.path, *smaller._write_overviews()]


@contextmanager
def side_by_side() -> Iterator[ThreadPoolExecutor]:
    """Opens threads that work on one raster each: GDAL leaves more to one core than compression."""
    # Filters of warnings are of the process: none of the threads may be the one to restore them.
    with _without_warning(), ThreadPoolExecutor(os.cpu_count(), "raster") as pool:
        yield pool


def _write(dataset: DatasetWriter, window: Window, pixels: npt.NDArray[np.generic]) -> None:
    where = RasterioWindow(window.col, window.row, window.width, window.height)
    dataset.write(pixels, window=where)


def half_of(
    pixels: npt.NDArray[np.generic], nodata: float, method: Literal["nearest", "mean"]
) -> npt.NDArray[np.generic]:
    """Returns every second pixel of (C, H, W), or the mean of four, rounded to the nearest.

    Nodata does not count in a mean, unless there is nothing else.
    """
    if method == "nearest":
        return pixels[:, ::2, ::2]
    odd = [(0, 0), *((0, side % 2) for side in pixels.shape[1:])]
    even = np.pad(pixels, odd, mode="edge") if any(right for _, right in odd) else pixels
    known = even != nodata
    if known.all():
        height, width = even.shape[1] // 2, even.shape[2] // 2
        area = opencv().INTER_AREA
        return np.stack([opencv().resize(it, (width, height), interpolation=area) for it in even])
    numbers = np.where(known, even, 0).astype(np.uint16)
    total, count = _sums_of_four(numbers), _sums_of_four(known.astype(np.uint16))
    mean = (2 * total + count) // np.maximum(2 * count, 1)
    return np.where(count > 0, mean, nodata).astype(pixels.dtype)


def _sums_of_four(numbers: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint16]:
    rows = numbers[:, ::2] + numbers[:, 1::2]
    return np.asarray(rows[..., ::2] + rows[..., 1::2], np.uint16)


def _check_cog(path: Path) -> None:
    """Raises OSError where a file is not whole: GDAL reports a full disk only in its log."""
    with rasterio.open(path) as dataset:
        missing = missing_bytes(dataset, str(path))
    if missing or _room(path) < _NO_ROOM_BYTES:
        raise OSError(f"{path} could not be written whole")


def _room(path: Path) -> int:
    """Returns the bytes that are left on the disk of a file."""
    status = os.statvfs(path.parent)
    return status.f_bavail * status.f_frsize


def _palette(spec: RasterSpec) -> Sequence[tuple[int, ...]]:
    """Returns a colour for each of 256 values; those of no class are transparent."""
    return [*spec.colours, *[(0, 0, 0, 0)] * (256 - len(spec.colours))]


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Sets GDAL up for writing a file.

    Raises:
        DiskFull: GDAL failed, and there is no room left; its own message does not say so.
        LibraryError: it failed for another reason.
    """
    try:
        with _without_warning(), gdal_env("", os.cpu_count() or 1), translated():
            yield
    except LibraryError as error:
        if _room(path) < _NO_ROOM_BYTES:
            full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            raise DiskFull(message(full, {})) from error
        raise


@contextmanager
def _without_warning() -> Iterator[None]:
    """Silences the warning about a raster without a map, which the user allowed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield
