"""Storage orientation of a raster, and its grid with y up and x to the right."""

from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from affine import Affine

from components.raster.scene.grid import Grid

Scalar = TypeVar("Scalar", bound=np.generic)


@dataclass(frozen=True)
class Orientation:
    """Mapping of a file's rows and columns to those of its upright grid.

    Attributes:
        transposed: the file's rows are the grid's columns.
        rows_reversed: then, whether the first row is the grid's last one.
        cols_reversed: whether the first column is the grid's last one.
    """

    transposed: bool = False
    rows_reversed: bool = False
    cols_reversed: bool = False

    @property
    def is_upright(self) -> bool:
        """True if the file is stored in the grid's orientation."""
        return self == UPRIGHT

    def shape(self, height: int, width: int) -> tuple[int, int]:
        """Converts (height, width) between grid and file, in either direction."""
        return (width, height) if self.transposed else (height, width)

    def upright(self, stored: npt.NDArray[Scalar]) -> npt.NDArray[Scalar]:
        """Returns a view of a file's array (..., H, W) in the grid's orientation."""
        turned = np.swapaxes(stored, -1, -2) if self.transposed else stored
        return turned[self._reversal]

    def stored(self, upright: npt.NDArray[Scalar]) -> npt.NDArray[Scalar]:
        """Inverts `upright`."""
        turned = upright[self._reversal]
        return np.swapaxes(turned, -1, -2) if self.transposed else turned

    def to_stored(self, height: int, width: int) -> Affine:
        """Maps (column, row) of a grid of that size to (column, row) of the file, exactly."""
        back = Affine(
            *(-1 if self.cols_reversed else 1, 0, width if self.cols_reversed else 0),
            *(0, -1 if self.rows_reversed else 1, height if self.rows_reversed else 0),
        )
        return Affine(0, 1, 0, 1, 0, 0) * back if self.transposed else back

    @property
    def _reversal(self) -> tuple[Any, ...]:
        rows, cols = (-1 if it else 1 for it in (self.rows_reversed, self.cols_reversed))
        return ..., slice(None, None, rows), slice(None, None, cols)


UPRIGHT = Orientation()


def upright_grid(stored: Grid) -> tuple[Grid, Orientation]:
    """Returns the grid of a file's upright pixels, and the orientation that maps the file to it.

    Of the eight ways to turn and mirror pixels without resampling, it is the one closest to y up
    and x to the right; a rotated raster stays rotated by up to 45 degrees. Without a CRS the upward
    direction is unknown, and pixels stay as stored.
    """
    way = UPRIGHT if stored.crs is None else _way_up(stored.transform)
    if way.is_upright:
        return stored, way
    shape = way.shape(stored.height_px, stored.width_px)
    transform = stored.transform * way.to_stored(*shape)
    # Minus zero would print badly.
    return Grid(*shape, Affine(*(number + 0.0 for number in transform[:6])), stored.crs), way


def _way_up(transform: Affine) -> Orientation:
    a, b, _, d, e, _ = transform[:6]
    transposed = abs(b) + abs(d) > abs(a) + abs(e)
    right, down = (b, d) if transposed else (a, e)
    return Orientation(transposed, rows_reversed=down > 0, cols_reversed=right < 0)
