"""Extent of points in longitude and latitude, also across the date line."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class Extent:
    """Smallest box around points, which can be joined with others in any order.

    Attributes:
        longitudes: least and greatest, from -180 to 180.
        turned: the same, with longitudes from 0 to 360.
        latitudes: least and greatest.
    """

    longitudes: tuple[float, float]
    turned: tuple[float, float]
    latitudes: tuple[float, float]

    @classmethod
    def of(cls, lonlat: tuple[float, float]) -> Self:
        """Returns the extent of one point."""
        longitude, latitude = lonlat
        return cls((longitude,) * 2, (longitude % 360,) * 2, (latitude,) * 2)

    @property
    def bbox(self) -> tuple[float, float, float, float]:
        """West, south, east, north; west is greater than east if it crosses the date line.

        >>> Extent.of((179.0, -16.0)).joined(Extent.of((-178.0, -18.0))).bbox
        (179.0, -18.0, -178.0, -16.0)
        """
        west, east = self.longitudes
        if self.turned[1] - self.turned[0] < east - west:
            west, east = ((it + 180) % 360 - 180 for it in self.turned)
        return west, self.latitudes[0], east, self.latitudes[1]

    def joined(self, other: Self) -> Self:
        """Returns the extent of the points of both."""
        return type(self)(
            _union(self.longitudes, other.longitudes),
            _union(self.turned, other.turned),
            _union(self.latitudes, other.latitudes),
        )


def joined(extents: Iterable[Extent | None]) -> Extent | None:
    """Returns the extent around all; None without any."""
    found: Extent | None = None
    for extent in extents:
        if extent is not None:
            found = extent if found is None else found.joined(extent)
    return found


def _union(one: tuple[float, float], two: tuple[float, float]) -> tuple[float, float]:
    return min(one[0], two[0]), max(one[1], two[1])
