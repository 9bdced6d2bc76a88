"""Locations of tiles on the earth: the basis of splits, known before a pixel is read."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from components.raster.scene.grid import Floats
from components.raster.tiles.key import TileKey
from components.raster.tiles.view import View

Indexes = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class TileFootprints:
    """Tiles and their footprints.

    Attributes:
        keys: N tiles.
        centres: (N, 2) longitude and latitude in degrees; not finite where undefined, as in scenes
            without a CRS and outside the earth's disk.
        corners: (N, 4, 2) of the footprints: upper left, upper right, lower right, lower left.
        acquired: ISO 8601 date or time of each tile's scene.
        groups: of tiles that must stay together, if the user named them.
    """

    keys: tuple[TileKey, ...]
    centres: Floats
    corners: Floats
    acquired: tuple[str | None, ...]
    groups: tuple[str | None, ...]

    def __post_init__(self) -> None:
        count = len(self.keys)
        if self.centres.shape != (count, 2) or self.corners.shape != (count, 4, 2):
            raise ValueError(f"{count} tiles need {count} centres and {count} x 4 corners")
        if len(self.acquired) != count or len(self.groups) != count:
            raise ValueError(f"{count} tiles need as many dates and groups")

    def __len__(self) -> int:
        return len(self.keys)

    def take(self, which: Sequence[int] | Indexes) -> "TileFootprints":
        """Returns some of the tiles, by index."""
        chosen = np.asarray(which, dtype=np.int64)
        return TileFootprints(
            keys=tuple(self.keys[index] for index in chosen.tolist()),
            centres=self.centres[chosen],
            corners=self.corners[chosen],
            acquired=tuple(self.acquired[index] for index in chosen.tolist()),
            groups=tuple(self.groups[index] for index in chosen.tolist()),
        )


def places_of(view: View, keys: Iterable[TileKey], *, group: str | None = None) -> TileFootprints:
    """Returns the footprints of some tiles of a view; all points are projected together."""
    tiles = tuple(keys)
    edges = np.array(
        [(k.window.row, k.window.col, k.window.bottom, k.window.right) for k in tiles], np.float64
    ).reshape(-1, 4)
    top, left, bottom, right = edges.T
    rows = np.stack([top, top, bottom, bottom, (top + bottom) / 2], axis=1)
    cols = np.stack([left, right, right, left, (left + right) / 2], axis=1)
    lonlat = np.stack(view.grid.to_lonlat(rows, cols), axis=-1).reshape(-1, 5, 2)
    lonlat[~np.isfinite(lonlat).all(axis=(1, 2))] = np.nan
    return TileFootprints(
        keys=tiles,
        centres=lonlat[:, 4],
        corners=lonlat[:, :4],
        acquired=(view.scene.acquired,) * len(tiles),
        groups=(group,) * len(tiles),
    )


def all_places(parts: Iterable[TileFootprints]) -> TileFootprints:
    """Concatenates the footprints of several scenes or parts."""
    found = list(parts)
    if not found:
        return TileFootprints((), np.empty((0, 2)), np.empty((0, 4, 2)), (), ())
    return TileFootprints(
        keys=tuple(key for part in found for key in part.keys),
        centres=np.concatenate([part.centres for part in found]),
        corners=np.concatenate([part.corners for part in found]),
        acquired=tuple(date for part in found for date in part.acquired),
        groups=tuple(group for part in found for group in part.groups),
    )
