"""The grid of a raster: its size, its affine transform and its coordinate reference system."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from affine import Affine
from rasterio.crs import CRS
from rasterio.warp import transform as transform_coordinates

Floats = npt.NDArray[np.float64]
LONLAT = "OGC:CRS84"


def crs_text(crs: CRS | None) -> str | None:
    """A coordinate reference system as text that gives the same one back.

    An authority's code where that is exactly the same system, else its WKT: a code that is merely
    close (another datum shift) would move every tile by metres and say nothing.
    """
    if not crs:
        return None
    code = str(crs.to_string())
    return code if CRS.from_string(code) == crs else str(crs.to_wkt())


@lru_cache(maxsize=64)
def crs_of(text: str) -> CRS:
    """The parsed form of `crs_text`'s text; parsing takes a millisecond."""
    return CRS.from_user_input(text)


def reproject(source: str, target: str, xs: Floats, ys: Floats) -> tuple[Floats, Floats]:
    """Coordinates of one CRS in another, always as (x or longitude, y or latitude).

    Shapes are kept. A place that cannot be projected comes back as infinity.
    """
    if source == target or not xs.size:
        return xs, ys
    out = transform_coordinates(crs_of(source), crs_of(target), xs.ravel(), ys.ravel())
    return np.asarray(out[0]).reshape(xs.shape), np.asarray(out[1]).reshape(ys.shape)


@dataclass(frozen=True)
class Grid:
    """Where the pixels of a raster lie.

    Attributes:
        height_px: rows.
        width_px: columns.
        transform: (column, row) of a pixel's upper left corner to (x, y); may be rotated.
        crs: an authority's code or WKT; None when the raster has pixel coordinates only.
    """

    height_px: int
    width_px: int
    transform: Affine
    crs: str | None

    @property
    def is_rotated(self) -> bool:
        """Whether rows or columns do not run along the axes of the CRS."""
        return bool(self.transform.b or self.transform.d)

    @property
    def is_metric(self) -> bool:
        """Whether the CRS is projected, with the metre as its unit."""
        if self.crs is None:
            return False
        crs = crs_of(self.crs)
        return bool(crs.is_projected) and crs.linear_units_factor[1] == 1.0

    @property
    def gsd(self) -> tuple[float, float]:
        """Lengths of a pixel's (row, column) step in units of the CRS; rotation counted in."""
        a, b, _, d, e, _ = self.transform[:6]
        return float(np.hypot(b, e)), float(np.hypot(a, d))

    def window_transform(self, row: int, col: int) -> Affine:
        """The transform of a window that starts at a pixel, which may lie outside of the grid."""
        a, b, c, d, e, f = self.transform[:6]
        return Affine(a, b, a * col + b * row + c, d, e, d * col + e * row + f)

    def to_map(self, rows: Floats, cols: Floats) -> tuple[Floats, Floats]:
        """Map coordinates (x, y) of pixel coordinates; (0, 0) is the grid's upper left corner."""
        a, b, c, d, e, f = self.transform[:6]
        return a * cols + b * rows + c, d * cols + e * rows + f

    def to_pixels(self, xs: Floats, ys: Floats) -> tuple[Floats, Floats]:
        """Pixel coordinates (row, column) of map coordinates."""
        a, b, c, d, e, f = (~self.transform)[:6]
        return d * xs + e * ys + f, a * xs + b * ys + c

    def to_lonlat(self, rows: Floats, cols: Floats) -> tuple[Floats, Floats]:
        """Longitude and latitude (WGS84, degrees) of pixel coordinates; NaN without a CRS."""
        if self.crs is None:
            nowhere = np.full(np.shape(rows), np.nan)
            return nowhere, nowhere.copy()
        return reproject(self.crs, LONLAT, *self.to_map(rows, cols))

    def bounds(self, row: int, col: int, height: int, width: int) -> tuple[float, ...]:
        """(left, bottom, right, top) of a window in map coordinates, whatever its rotation."""
        xs, ys = self.to_map(
            np.array([row, row, row + height, row + height], dtype=np.float64),
            np.array([col, col + width, col, col + width], dtype=np.float64),
        )
        return float(xs.min()), float(ys.min()), float(xs.max()), float(ys.max())


def differences(grids: Sequence[Grid]) -> list[str]:
    """What the grids of files that should lie on each other do not share; empty if all the same."""
    first, found = grids[0], []
    if any((g.height_px, g.width_px) != (first.height_px, first.width_px) for g in grids):
        sizes = sorted({f"{g.height_px} x {g.width_px}" for g in grids})
        found.append(f"sizes (rows x columns) {', '.join(sizes)}")
    if any(g.crs != first.crs for g in grids):
        found.append(f"systems {', '.join(sorted({str(g.crs)[:40] for g in grids}))}")
    if not found and any(not _same_place(first, grid) for grid in grids):
        found.append("origins or pixel sizes")
    return found


def _same_place(first: Grid, second: Grid) -> bool:
    """Whether two grids agree to a thousandth of a pixel at every corner."""
    if first.transform == second.transform:
        return True
    rows = np.array([0, 0, first.height_px, first.height_px], dtype=np.float64)
    cols = np.array([0, first.width_px, 0, first.width_px], dtype=np.float64)
    back = second.to_pixels(*first.to_map(rows, cols))
    return bool(np.allclose(back, (rows, cols), rtol=0, atol=1e-3))
