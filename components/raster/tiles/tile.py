"""Tile: pixels with their identity and georeference."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from affine import Affine

from components.raster.reasons import Reason
from components.raster.scene.grid import Grid
from components.raster.tiles.key import TileKey
from components.raster.tiles.valid_mask import Mask, Pixels


@dataclass(frozen=True)
class TileReject:
    """A planned tile that cannot be used."""

    key: TileKey
    reason: Reason
    detail: str


@dataclass(frozen=True, eq=False)
class Tile:
    """A cut-out of a scene. Its arrays are read-only and may be views of a decoded block.

    Attributes:
        key: scene and window.
        pixels: (H, W, C) in the view's dtype; outside the scene the bands' nodata value, or 0.
        valid: (H, W), True where all (or any, by the view's setting) bands were measured.
        transform: exact affine of this tile: (column, row) to map coordinates.
        crs: as in the grid; None for pixel coordinates.
        lonlat: WGS84 longitude and latitude of the centre in degrees; NaN without a CRS.

    >>> from components.raster.tiles.key import Window
    >>> window = Window(row=64, col=0, height=2, width=2)
    >>> pixels, valid = np.zeros((2, 2, 1), np.uint8), np.array([[True, True], [True, False]])
    >>> place = Affine(10, 0, 500_000, 0, -10, 5_300_000)
    >>> tile = Tile(TileKey("north", window), pixels, valid, place, "EPSG:32632", (9.0, 47.9))
    >>> tile.valid_fraction, tile.bounds
    (0.75, (500000.0, 5299980.0, 500020.0, 5300000.0))
    """

    key: TileKey
    pixels: Pixels
    valid: Mask
    transform: Affine
    crs: str | None
    lonlat: tuple[float, float]

    def __post_init__(self) -> None:
        window = self.key.window
        if self.pixels.ndim != 3 or self.pixels.shape[:2] != (window.height, window.width):
            raise ValueError(f"{self.key} cannot have pixels of shape {self.pixels.shape}")
        if self.valid.shape != self.pixels.shape[:2] or self.valid.dtype != np.bool_:
            raise ValueError(f"{self.key} needs a boolean mask of {self.pixels.shape[:2]}")

    @cached_property
    def is_valid_everywhere(self) -> bool:
        """True if every pixel is valid, as in most tiles."""
        return bool(self.valid.all())

    @property
    def valid_fraction(self) -> float:
        """Share of valid pixels, 0 to 1; padding is not valid."""
        return float(np.count_nonzero(self.valid)) / self.valid.size

    @property
    def grid(self) -> Grid:
        """Grid of the tile."""
        return Grid(self.key.window.height, self.key.window.width, self.transform, self.crs)

    @property
    def bounds(self) -> tuple[float, ...]:
        """(left, bottom, right, top) in map coordinates."""
        return self.grid.bounds(0, 0, self.key.window.height, self.key.window.width)


@dataclass(frozen=True)
class BandStatistics:
    """Statistics of each band's finite valid values; NaN if there are none."""

    mean: tuple[float, ...]
    stddev: tuple[float, ...]
    minimum: tuple[float, ...]
    maximum: tuple[float, ...]


def band_statistics(pixels: Pixels, valid: Mask) -> BandStatistics:
    """Computes statistics of (H, W, C) pixels over valid ones; population standard deviation."""
    everywhere = bool(valid.all())
    # Band by band, each made contiguous first: ten times as fast as along the last axis.
    bands = [
        np.ascontiguousarray(pixels[..., band]).ravel() if everywhere else pixels[..., band][valid]
        for band in range(pixels.shape[2])
    ]
    found = [_band_statistics(values) for values in bands]
    mean, stddev, minimum, maximum = zip(*found, strict=True)
    return BandStatistics(mean=mean, stddev=stddev, minimum=minimum, maximum=maximum)


def _band_statistics(values: Pixels) -> tuple[float, float, float, float]:
    """Computes mean, deviation, least and largest of [N] values, moments in double precision."""
    wide: npt.NDArray[np.float64] = values.astype(np.float64)
    if values.dtype.kind == "f":
        # A pixel may be valid because of another band, and not finite in this one.
        wide = wide[np.isfinite(wide)]
    if not wide.size:
        return (math.nan,) * 4
    mean, least, most = float(wide.mean()), float(wide.min()), float(wide.max())
    wide -= mean
    wide *= wide  # not np.dot, whose BLAS threads would compete for the cores
    return mean, float(np.sqrt(wide.mean())), least, most
