"""Rasters of a map: they grow window by window, and become Cloud Optimized GeoTIFFs at the end.

GDAL's driver COG needs all pixels at once: they would be written without compression first, and
read again. Here blocks are compressed when they are complete, and the file is assembled from them.
Its tags are GDAL's own, of a small raster with the same description.
"""

import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import MemoryFile

from components.mapping import blocks
from components.mapping.blocks import BlockCoding, Pixels, Resampling
from components.mapping.cog import write_cog
from components.mapping.config import Compression
from components.mapping.level import RasterLevel, writing
from components.raster.library_errors import translated
from components.raster.pictures.colours import RGB
from components.raster.scene.gdal import gdal_env
from components.raster.scene.grid import Grid, crs_of
from components.raster.tiles.key import Window

#: The least side of a block that GDAL's driver takes, which keeps the small raster small.
_LEAST_BLOCK_PX = 128


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
    overviews: Resampling = "nearest"


def spec_of_steps(
    name: str, grid: Grid, bands: tuple[str, ...], step: float, nodata: int
) -> RasterSpec:
    """Describes a raster of numbers stored in steps, as bytes; smaller copies have means."""
    return RasterSpec(name, grid, "uint8", nodata, bands, scale=step, overviews="mean")


class GrowingRaster:
    """A raster whose pixels come in columns, from the left to the right, each from top to bottom.

    Columns begin and end at borders of blocks. Pixels wait until a row of blocks is complete, which
    threads then compress. Memory is that of two such rows.
    """

    def __init__(self, spec: RasterSpec, folder: Path, compression: Compression) -> None:
        """Describes it; `create` or `load` begin it.

        Args:
            spec: what it is.
            folder: for its unfinished files.
            compression: of its blocks.
        """
        self.spec, self._compression = spec, compression
        shape = len(spec.bands), spec.grid.height_px, spec.grid.width_px
        coding = BlockCoding(compression, spec.nodata, spec.overviews)
        self._level = RasterLevel(folder / f"{spec.name}.blocks", shape, spec.dtype, coding)
        self._pool = ThreadPoolExecutor(os.cpu_count(), spec.name)
        #: The row of blocks that is not complete, and how many rows of pixels it has.
        self._rows: Pixels = np.empty((0, 0, 0), spec.dtype)
        self._known = 0

    def create(self) -> None:
        """Begins with no pixel known."""
        self._level.create()

    def write(self, window: Window, pixels: Pixels) -> None:
        """Takes (H, W) or (C, H, W) pixels of the next window of a column."""
        planes = pixels if pixels.ndim == 3 else pixels[np.newaxis]
        done = 0
        while done < window.height:
            top = window.row + done - self._known
            if not self._known:
                height = min(blocks.BLOCK_PX, self.spec.grid.height_px - top)
                self._rows = np.empty((len(planes), height, window.width), self.spec.dtype)
            free = self._rows[:, self._known :]
            taken = min(free.shape[1], window.height - done)
            free[:, :taken] = planes[:, done : done + taken]
            done, self._known = done + taken, self._known + taken
            if self._known == self._rows.shape[1]:
                whole = Window(top, window.col, self._known, window.width)
                self._level.add(whole, self._rows, self._pool)
                self._known = 0

    def save(self, folder: Path) -> None:
        """Writes what is not complete into a folder, and waits until the disk has the blocks."""
        self._level.sync()
        path = folder / f"{self.spec.name}.npz"
        with writing(path):
            rows = self._rows[:, : self._known]
            np.savez(path, index=self._level.index, rows=rows, height=self._rows.shape[1])

    def load(self, folder: Path) -> None:
        """Restores what `save` wrote; what was written after it is forgotten."""
        with np.load(folder / f"{self.spec.name}.npz") as found:
            self._level.restore(found["index"])
            rows, height = found["rows"], int(found["height"])
        self._known = rows.shape[1]
        self._rows = np.empty((rows.shape[0], height, rows.shape[2]), self.spec.dtype)
        self._rows[:, : self._known] = rows

    def to_cog(self, folder: Path) -> Path:
        """Writes the Cloud Optimized GeoTIFF with its overviews.

        The unfinished files stay until the map is in its place: a run that is killed before that
        continues with them.
        """
        levels = [self._level]
        levels[0].flush()
        while levels[-1].is_halved:
            levels.append(self._overview(levels[-1]))
        target = folder / f"{self.spec.name}.tif"
        with writing(target):
            write_cog(target, _small_cog(self.spec, self._compression), levels)
        return target

    def _overview(self, larger: RasterLevel) -> RasterLevel:
        found = larger.next()
        found.create()
        for window, pixels in larger.halved_rows():
            found.add(window, pixels, self._pool)
        found.flush()
        return found


def _small_cog(spec: RasterSpec, compression: Compression) -> bytes:
    """Returns GDAL's COG of a raster of that description, just so large that it has an overview."""
    side = _LEAST_BLOCK_PX + 1
    profile: dict[str, Any] = {
        "driver": "GTiff",
        "dtype": spec.dtype,
        "count": len(spec.bands),
        "height": side,
        "width": side,
        "transform": spec.grid.transform,
        "crs": None if spec.grid.crs is None else crs_of(spec.grid.crs),
        "nodata": spec.nodata,
    }
    with _gdal(), MemoryFile() as plain, MemoryFile() as cog:
        with plain.open(**profile) as dataset:
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
        rasterio.shutil.copy(
            plain.name,
            cog.name,
            driver="COG",
            COMPRESS=compression.upper(),
            PREDICTOR="NO" if spec.overviews == "nearest" else "YES",
            BLOCKSIZE=_LEAST_BLOCK_PX,
            BIGTIFF="NO",
        )
        return bytes(cog.read())


def _palette(spec: RasterSpec) -> Sequence[tuple[int, ...]]:
    """Returns a colour for each of 256 values; those of no class are transparent."""
    return [*spec.colours, *[(0, 0, 0, 0)] * (256 - len(spec.colours))]


@contextmanager
def _gdal() -> Iterator[None]:
    """Sets GDAL up, without its warning about a raster without a map, which the user allowed."""
    with warnings.catch_warnings(), gdal_env(""), translated():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield
