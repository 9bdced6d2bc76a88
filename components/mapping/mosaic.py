"""Blending of overlapping tiles.

At most pixels one tile alone counts. Its answer is settled at once, while it is in a core's cache.
Where several tiles count, their weighted sum is kept until no further one can come.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from components.mapping.weights import TileAxis, Weights
from components.raster.tiles.key import Window
from components.raster.tiles.valid_mask import Mask

Floats = npt.NDArray[np.float32]
#: Arrays by name, for a run that is continued.
State: TypeAlias = dict[str, npt.NDArray[Any]]
#: Takes final values: their window in the scene, values (K, H, W), and where they are known (H, W).
Settle: TypeAlias = Callable[[Window, Floats, Mask], None]

#: Weight of unread tiles from which on nothing is known about a pixel.
_NOTHING = 1 - 1e-3


@dataclass(eq=False)
class _Sum:
    """Weighted sum of the tiles that count at some pixels.

    Attributes:
        window: of the pixels in the scene.
        values: (K, H, W).
        valid: (H, W), where a tile has a measurement.
        lost: (H, W), weight of tiles that cannot be read; None if there is none.
    """

    window: Window
    values: Floats
    valid: Mask
    lost: Floats | None = None


class Mosaic:
    """Blends tiles of K planes within some columns of a scene, from top to bottom."""

    def __init__(
        self, planes: int, left: int, right: int, down: TileAxis, across: TileAxis, settle: Settle
    ) -> None:
        """Starts with nothing known.

        Args:
            planes: K.
            left: the first column.
            right: the first one beyond the last.
            down: tiles along rows.
            across: tiles along columns.
            settle: is called once for each pixel that a tile answered.
        """
        self._planes, self._left, self._right = planes, left, right
        self._down, self._across, self._settle = down, across, settle
        self._sums: dict[tuple[int, int], _Sum] = {}

    def add(self, tile: Window, values: Floats, valid: Mask) -> None:
        """Adds a tile's answer.

        Args:
            tile: its window in the scene; what lies beyond the columns is left out.
            values: (K, H, W).
            valid: (H, W), where the scene has a measurement.
        """
        for window, (rows, cols), weights in self._parts(tile):
            own, known = values[:, rows, cols], valid[rows, cols]
            if weights is None:
                self._settle(window, own, known)
                continue
            found = self._sums.get((window.row, window.col))
            if found is None:
                found = _Sum(window, own * weights, known.copy())
                self._sums[window.row, window.col] = found
            else:
                found.values += own * weights
                found.valid |= known

    def lose(self, tile: Window) -> None:
        """Notes that a tile cannot be read: its pixels get the mean of the other tiles there."""
        for window, _, weights in self._parts(tile):
            if weights is None:
                continue
            shape, key = weights.shape, (window.row, window.col)
            if key not in self._sums:
                zeros = np.zeros((self._planes, *shape), np.float32)
                self._sums[key] = _Sum(window, zeros, np.zeros(shape, np.bool_))
            found = self._sums[key]
            found.lost = weights if found.lost is None else found.lost + weights

    def finish(self, end: int) -> None:
        """Settles what begins above a row; no further tile may reach above it."""
        for key in [key for key in self._sums if key[0] < end]:
            found = self._sums.pop(key)
            if found.lost is not None:
                kept = 1 - found.lost
                known = kept > 1 - _NOTHING
                found.values /= np.where(known, kept, 1)
                found.valid &= known
            self._settle(found.window, found.values, found.valid)

    def state(self) -> State:
        """Returns the sums that are not finished."""
        state: State = {}
        for (row, col), found in self._sums.items():
            place = f"{row},{col}"
            state |= {f"values {place}": found.values, f"valid {place}": found.valid}
            if found.lost is not None:
                state[f"lost {place}"] = found.lost
        return state

    def restore(self, state: State) -> None:
        """Continues from what `state` returned."""
        for name in state:
            kind, _, place = name.partition(" ")
            if kind == "values":
                row, col = map(int, place.split(","))
                values, valid = state[name], state[f"valid {place}"]
                window = Window(row, col, *valid.shape)
                self._sums[row, col] = _Sum(window, values, valid, state.get(f"lost {place}"))

    def _parts(self, tile: Window) -> Iterator[tuple[Window, tuple[slice, slice], Weights | None]]:
        """Yields the parts of a tile at which the same tiles count.

        Each is a window of the scene, the same in the tile, and the weights (H, W); None where it
        counts alone.
        """
        columns = list(self._across.runs(tile.col, self._left, self._right))
        for down, rows, row_weights in self._down.runs(tile.row, tile.row, tile.bottom):
            for across, cols, col_weights in columns:
                size = down.end - down.first, across.end - across.first
                alone = down.tiles == across.tiles == 1
                weights = None if alone else np.multiply.outer(row_weights, col_weights)
                yield Window(down.first, across.first, *size), (rows, cols), weights
