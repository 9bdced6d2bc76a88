"""Rasters of a map: a scratch file that grows window by window, and the COG made of it at the end.

GDAL's driver COG needs all pixels at once, so a map is first written to a GeoTIFF that is not
compressed: its blocks never move, so that windows can be written in any order and again, and a
killed process leaves a file that can be continued.
"""

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

from components.raster.library_errors import translated
from components.raster.pictures.colours import RGB
from components.raster.scene.gdal import gdal_env
from components.raster.scene.grid import Grid, crs_of
from components.raster.tiles.key import Window

_BLOCK_PX = 512


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
        with _writing(), rasterio.open(self.path, "w", **profile) as dataset:
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

    def write(self, window: Window, pixels: npt.NDArray[np.generic]) -> None:
        """Writes (H, W) or (C, H, W) pixels of a window."""
        where = RasterioWindow(window.col, window.row, window.width, window.height)
        with _writing(), rasterio.open(self.path, "r+") as dataset:
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
        with _writing():
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
        self.path.unlink()
        return target


def _palette(spec: RasterSpec) -> Sequence[tuple[int, ...]]:
    """Returns a colour for each of 256 values; those that are no class are transparent."""
    return [*spec.colours, *[(0, 0, 0, 0)] * (256 - len(spec.colours))]


@contextmanager
def _writing() -> Iterator[None]:
    """Sets GDAL up for writing; a raster without a map is no reason for a warning."""
    with warnings.catch_warnings(), gdal_env("", os.cpu_count() or 1), translated():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield
