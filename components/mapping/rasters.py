"""Rasters of a map, which grow window by window and finally become Cloud Optimized GeoTIFFs.

GDAL's driver COG needs all pixels at once: they would first be written without compression, and
read again. Here blocks are compressed as soon as they are complete, and the file is assembled from
them. Its tags are GDAL's own, taken from a small raster with the same description.
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
from components.mapping.level import PixelFile, PixelSink, RasterLevel, Shape, sync, writing
from components.raster.library_errors import translated
from components.raster.pictures.colours import RGB
from components.raster.scene.gdal import gdal_env
from components.raster.scene.grid import Grid, crs_of
from components.raster.tiles.key import Window

#: Smallest side of a block that GDAL's driver accepts, which keeps the small raster small.
_LEAST_BLOCK_PX = 128


@dataclass(frozen=True)
class RasterSpec:
    """Description of a map's raster.

    Attributes:
        name: of the file, without its suffix.
        grid: of its pixels.
        dtype: of the samples.
        nodata: value of unknown pixels.
        bands: a description of each.
        colours: of the values from 0 on, for a class raster.
        scale: from stored numbers to values.
        tags: of the first band.
        overviews: resampling of overviews: one of four pixels, or the mean of the known ones.
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
    """Describes a raster of numbers stored in steps, as bytes; its overviews have means."""
    return RasterSpec(name, grid, "uint8", nodata, bands, scale=step, overviews="mean")


class GrowingRaster:
    """A raster whose pixels arrive in columns from left to right, each from top to bottom.

    Blocks of the first levels are compressed meanwhile. The pixels of the next level wait in a file
    for those of all columns; it and smaller levels are made at the end.
    """

    def __init__(self, spec: RasterSpec, folder: Path, compression: Compression) -> None:
        """Prepares the raster; `create` or `load` starts it.

        Args:
            spec: its description.
            folder: for its unfinished files.
            compression: of its blocks.
        """
        self.spec, self._folder, self._compression = spec, folder, compression
        self._pool = ThreadPoolExecutor(os.cpu_count(), spec.name)
        shapes = _shapes(len(spec.bands), spec.grid)
        later = shapes[blocks.GROWING_LEVELS :]
        self._waiting = (
            PixelFile(folder / f"{spec.name}.pixels", later[0], spec.dtype) if later else None
        )
        self._growing = self._levels(shapes[: blocks.GROWING_LEVELS], self._waiting)
        self._later = self._levels(later, None)

    def _levels(self, shapes: Sequence[Shape], halves: PixelSink | None) -> list[RasterLevel]:
        """Returns levels, each of which passes its halves to the next, and the last to `halves`."""
        spec = self.spec
        coding = BlockCoding(self._compression, spec.nodata, spec.overviews)
        levels: list[RasterLevel] = []
        for shape in reversed(shapes):
            path = self._folder / f"{spec.name}.{shape[1]}x{shape[2]}.blocks"
            halves = RasterLevel(path, shape, spec.dtype, coding, self._pool, halves)
            levels.insert(0, halves)
        return levels

    def create(self) -> None:
        """Starts without pixels."""
        for level in self._growing:
            level.create()
        if self._waiting is not None:
            self._waiting.create()

    def write(self, window: Window, pixels: Pixels) -> None:
        """Adds the pixels, (H, W) or (C, H, W), of the next window of a column."""
        self._growing[0].write(window, pixels if pixels.ndim == 3 else pixels[np.newaxis])

    def save(self, folder: Path) -> None:
        """Writes incomplete blocks into a folder, and waits until the others are on disk."""
        for level in self._growing:
            level.save(folder / f"{level.path.stem}.npz")
        if self._waiting is not None:
            sync(self._waiting.path)

    def load(self, folder: Path) -> None:
        """Restores the state at `save`; drops what came after it."""
        for level in self._growing:
            level.load(folder / f"{level.path.stem}.npz")

    def to_cog(self, folder: Path) -> Path:
        """Writes the Cloud Optimized GeoTIFF with its overviews.

        The unfinished files stay until the map is in its place, so that a run that is killed before
        can continue with them.
        """
        for level in self._growing:
            level.flush()
        for level in self._later:
            level.create()
        if self._waiting is not None:
            for window, pixels in self._waiting.rows():
                self._later[0].write(window, pixels)
        for level in self._later:
            level.flush()
        target = folder / f"{self.spec.name}.tif"
        small = _small_cog(self.spec, self._compression)
        with writing(target):
            write_cog(target, small, [*self._growing, *self._later])
        return target


def _shapes(count: int, grid: Grid) -> list[Shape]:
    """Returns (C, H, W) of a raster and of its successive halves, until one fits into a block."""
    height, width = grid.height_px, grid.width_px
    shapes = [(count, height, width)]
    while max(height, width) > blocks.BLOCK_PX:
        height, width = -(-height // 2), -(-width // 2)
        shapes.append((count, height, width))
    return shapes


def _small_cog(spec: RasterSpec, compression: Compression) -> bytes:
    """Returns GDAL's COG of a raster with that description, just large enough for an overview."""
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
            elif len(spec.bands) > 1:  # otherwise GDAL would take the fourth band for transparency
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
    """Returns a colour for each of 256 values; values without a class are transparent."""
    return [*spec.colours, *[(0, 0, 0, 0)] * (256 - len(spec.colours))]


@contextmanager
def _gdal() -> Iterator[None]:
    """Sets up GDAL without its warning about a raster without a CRS, which the user allowed."""
    with warnings.catch_warnings(), gdal_env(""), translated():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield
