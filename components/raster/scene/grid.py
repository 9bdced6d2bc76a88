"""Grid of a raster: its size, its affine transform and its coordinate reference system."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from affine import Affine

from components.raster.library_errors import LibraryError, translated

if TYPE_CHECKING:
    from rasterio.crs import CRS

Floats = npt.NDArray[np.float64]
LONLAT = "OGC:CRS84"
_METRES_A_DEGREE = 111_195.0
#: Projections whose scale grows with latitude: lengths double at 60 degrees.
_STRETCHING = ("merc", "webmerc")
#: Sample positions along each axis to check whether a grid is on the earth.
_SAMPLES = 9


class CrsError(LibraryError):
    """PROJ does not know a coordinate reference system, or a transformation between two."""


def crs_text(crs: "CRS | None") -> str | None:
    """Formats a coordinate reference system as text that parses to the same system.

    It is an authority's code if that is exactly the same system, else WKT: a code that is merely
    close (another datum shift) would silently move every tile by metres.
    """
    from rasterio.crs import CRS

    if not crs:
        return None
    code = str(crs.to_string())
    return code if CRS.from_string(code) == crs else str(crs.to_wkt())


@lru_cache(maxsize=64)
def crs_of(text: str) -> "CRS":
    """Parses the text of `crs_text`; parsing takes a millisecond."""
    from rasterio.crs import CRS

    with translated(lambda why: CrsError(f"{crs_name(text)} is unknown to PROJ: {why}")):
        return CRS.from_user_input(text)


def crs_name(text: str) -> str:
    """Returns a CRS's name for people: its code, or the name at the start of its WKT."""
    return text.split('"')[1] if '["' in text else text


def reproject(source: str, target: str, xs: Floats, ys: Floats) -> tuple[Floats, Floats]:
    """Transforms coordinates between CRSs, always as (x or longitude, y or latitude).

    The result has the shape of the input. Points that cannot be projected become infinity.

    Raises:
        CrsError: there is no transformation between them, as from the moon to the earth.
    """
    if source == target or not xs.size:
        return xs, ys
    before, after = crs_of(source), crs_of(target)
    no_way = f"{crs_name(source)} cannot be transformed to {crs_name(target)}"
    with translated(lambda why: CrsError(f"{no_way}: {why}")):
        out = _projected(before, after, xs.ravel(), ys.ravel())
    return out[0].reshape(xs.shape), out[1].reshape(ys.shape)


def _projected(source: "CRS", target: "CRS", xs: Floats, ys: Floats) -> Floats:
    """Transforms coordinates (2, N), infinity on failure: rasterio fails for all if one does."""
    from rasterio._err import CPLE_AppDefinedError, CPLE_NotSupportedError
    from rasterio.warp import transform

    try:
        return np.asarray(transform(source, target, xs, ys))
    except CPLE_NotSupportedError:
        raise ValueError("PROJ knows no coordinate operation") from None
    except CPLE_AppDefinedError:
        if len(xs) == 1:
            return np.full((2, 1), np.inf)
    half = len(xs) // 2
    first = _projected(source, target, xs[:half], ys[:half])
    return np.concatenate([first, _projected(source, target, xs[half:], ys[half:])], axis=1)


@dataclass(frozen=True)
class Grid:
    """Georeference of a raster's pixels.

    Attributes:
        height_px: rows.
        width_px: columns.
        transform: (column, row) of a pixel's upper left corner to (x, y); may be rotated.
        crs: an authority's code or WKT; None if the raster has only pixel coordinates.
    """

    height_px: int
    width_px: int
    transform: Affine
    crs: str | None

    @property
    def is_rotated(self) -> bool:
        """True if rows or columns do not run along the axes of the CRS."""
        return bool(self.transform.b or self.transform.d)

    @property
    def is_metric(self) -> bool:
        """True if the CRS is projected, with the metre as its unit."""
        if self.crs is None:
            return False
        crs = crs_of(self.crs)
        with translated(CrsError):
            return bool(crs.is_projected) and crs.linear_units_factor[1] == 1.0

    @property
    def has_ground_metres(self) -> bool:
        """True if metres of the CRS are roughly metres on the ground; Mercator's are not."""
        stretches = self.is_metric and crs_of(self.crs or "").to_dict().get("proj") in _STRETCHING
        return self.is_metric and not stretches

    @property
    def is_geographic(self) -> bool:
        """True if its coordinates are longitude and latitude."""
        return self.crs is not None and bool(crs_of(self.crs).is_geographic)

    @property
    def gsd(self) -> tuple[float, float]:
        """Lengths of a pixel's (row, column) step in units of the CRS, rotation included."""
        a, b, _, d, e, _ = self.transform[:6]
        return float(np.hypot(b, e)), float(np.hypot(a, d))

    @property
    def gsd_m(self) -> float | None:
        """Metres on the ground from row to row, at the grid's centre; None if undefined."""
        if self.crs is None:
            return None
        if self.has_ground_metres:
            return self.gsd[0]
        rows = np.array([self.height_px / 2 - 0.5, self.height_px / 2 + 0.5])
        lons, lats = self.to_lonlat(rows, np.full(2, self.width_px / 2))
        east = (np.diff(lons) + 180) % 360 - 180
        step = np.hypot(np.diff(lats), east * np.cos(np.radians(lats[0]))) * _METRES_A_DEGREE
        return float(step[0]) if np.isfinite(step[0]) else None

    def window_transform(self, row: int, col: int) -> Affine:
        """Returns the transform of a window by its first pixel, inside or outside the grid."""
        a, b, c, d, e, f = self.transform[:6]
        return Affine(a, b, a * col + b * row + c, d, e, d * col + e * row + f)

    def to_map(self, rows: Floats, cols: Floats) -> tuple[Floats, Floats]:
        """Converts pixel coordinates to map (x, y); (0, 0) is the grid's upper left corner."""
        a, b, c, d, e, f = self.transform[:6]
        return a * cols + b * rows + c, d * cols + e * rows + f

    def to_pixels(self, xs: Floats, ys: Floats) -> tuple[Floats, Floats]:
        """Converts map coordinates to pixel coordinates (row, column)."""
        a, b, c, d, e, f = (~self.transform)[:6]
        return d * xs + e * ys + f, a * xs + b * ys + c

    def to_lonlat(self, rows: Floats, cols: Floats) -> tuple[Floats, Floats]:
        """Converts pixel coordinates to longitude and latitude (WGS84, degrees); NaN without a CRS.

        Longitudes are between -180 and 180, whatever range the grid uses. Points beyond a pole, as
        in padding or in half a row of a global grid, become the pole. Points without longitude and
        latitude become infinity.
        """
        if self.crs is None:
            nowhere = np.full(np.shape(rows), np.nan)
            return nowhere, nowhere.copy()
        lons, lats = reproject(self.crs, LONLAT, *self.to_map(rows, cols))
        known = np.isfinite(lons) & np.isfinite(lats)
        around = np.where(known & (np.abs(lons) > 180), lons, 0)
        lons = np.where(around == 0, lons, (around + 180) % 360 - 180)
        return lons, np.where(known, np.clip(lats, -90, 90), lats)

    def sampled(self) -> tuple[Floats, Floats]:
        """Returns map coordinates (x, y) of positions across the grid, its corners included."""
        steps = np.linspace(0, 1, _SAMPLES)
        rows, cols = np.meshgrid(steps * self.height_px, steps * self.width_px, indexing="ij")
        return self.to_map(rows, cols)

    def fault_of_place(self) -> str | None:
        """Returns why the grid is not on the earth; None if it is.

        Some of its points may not be, as in the corners of a full-disk picture. A grid in degrees
        may extend beyond a pole by up to a pixel, as grids with pixel centres on whole degrees do,
        and count longitudes up to 360.
        """
        assert self.crs is not None
        crs, name = crs_of(self.crs), crs_name(self.crs)
        if not (crs.is_geographic or crs.is_projected):
            return f"{name} is neither a geographic nor a projected system"
        try:
            lons, lats = reproject(self.crs, LONLAT, *self.sampled())
        except CrsError as error:
            return str(error)
        known = np.isfinite(lons) & np.isfinite(lats)
        if not known.any():
            return f"its coordinates have no place on the earth in {name}"
        row_step, col_step = self.gsd if crs.is_geographic else (0.0, 0.0)
        north, east = np.abs(lats[known]).max(), np.abs(lons[known]).max()
        if north > 90 + row_step or east > 360 + col_step:
            what = f"latitude {north:g}" if north > 90 + row_step else f"longitude {east:g}"
            return f"its coordinates are outside of {name}: they reach {what}"
        return None

    def on_earth(self) -> "Grid":
        """Returns the same grid, in pixel coordinates if its CRS is not one of the earth."""
        has_place = self.crs is None or self.fault_of_place() is None
        return self if has_place else replace(self, crs=None)

    def bounds(self, row: int, col: int, height: int, width: int) -> tuple[float, ...]:
        """Returns a window's (left, bottom, right, top) in map coordinates, rotated or not."""
        xs, ys = self.to_map(
            np.array([row, row, row + height, row + height], dtype=np.float64),
            np.array([col, col + width, col, col + width], dtype=np.float64),
        )
        return float(xs.min()), float(ys.min()), float(xs.max()), float(ys.max())


def differences(grids: Sequence[Grid]) -> list[str]:
    """Lists the properties in which grids of co-registered files differ; empty if they agree."""
    first, found = grids[0], []
    if any((g.height_px, g.width_px) != (first.height_px, first.width_px) for g in grids):
        sizes = sorted({f"{g.height_px} x {g.width_px}" for g in grids})
        found.append(f"sizes (rows x columns) {', '.join(sizes)}")
    if any(g.crs != first.crs for g in grids):
        found.append(f"systems {', '.join(sorted({crs_name(str(g.crs)) for g in grids}))}")
    if not found and any(not same_place(first, grid) for grid in grids):
        found.append("origins or pixel sizes")
    return found


def same_place(first: Grid, second: Grid) -> bool:
    """Checks whether two grids agree to a thousandth of a pixel at every corner."""
    if first.transform == second.transform:
        return True
    rows = np.array([0, 0, first.height_px, first.height_px], dtype=np.float64)
    cols = np.array([0, first.width_px, 0, first.width_px], dtype=np.float64)
    back = second.to_pixels(*first.to_map(rows, cols))
    return bool(np.allclose(back, (rows, cols), rtol=0, atol=1e-3))
