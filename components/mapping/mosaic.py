"""Blending of overlapping tiles.

Tiles come in rows from left to right, and rows from top to bottom. Each is added to the
contributions of earlier tiles in its row, and then of those above it, to its pixels. Pixels that no
later tile covers are then final, and are settled while they are in a core's cache. The tile's
contributions to pixels of later tiles are kept until these come.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from components.mapping.weights import TileAxis, Weights
from components.raster.opencv import opencv
from components.raster.tiles.key import Window
from components.raster.tiles.valid_mask import Mask

Floats = npt.NDArray[np.float32]
#: Arrays by name, from which a run continues.
State: TypeAlias = dict[str, npt.NDArray[Any]]
#: Receives final values: their window in the scene, values (K, H, W), and a mask of known pixels
#: (H, W); None: all.
Settle: TypeAlias = Callable[[Window, Floats, Mask | None], None]

#: Least weight of unread tiles at which a pixel counts as unknown.
_NOTHING = 1 - 1e-3
_Axis: TypeAlias = Literal[0, 1]
_ROWS: Literal[0] = 0
_COLS: Literal[1] = 1


@dataclass(eq=False)
class _Sum:
    """Weighted sum of the tiles that contribute to some pixels.

    Attributes:
        row: first row in the scene.
        col: first column in the scene.
        values: (K, H, W).
        valid: (H, W), where a tile has data; None: everywhere, as in most tiles.
        lost: (H, W), weight of tiles that cannot be read; None if there are none.
    """

    row: int
    col: int
    values: Floats
    valid: Mask | None
    lost: Floats | None = None

    @property
    def window(self) -> Window:
        """Window of the pixels in the scene."""
        return Window(self.row, self.col, *self.shape)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        _, height, width = self.values.shape
        return height, width

    def part(self, axis: _Axis, first: int, end: int) -> "_Sum":
        """Returns a view of the pixels between two positions in the scene along an axis."""
        start = self.col if axis else self.row
        cut = slice(max(first - start, 0), max(end - start, 0))
        where = (slice(None), cut) if axis else (cut, slice(None))
        valid = None if self.valid is None else self.valid[where]
        lost = None if self.lost is None else self.lost[where]
        row, col = (self.row, max(first, start)) if axis else (max(first, start), self.col)
        return _Sum(row, col, self.values[:, *where], valid, lost)

    def copy(self) -> "_Sum":
        """Returns a copy in new arrays."""
        valid = None if self.valid is None else self.valid.copy()
        lost = None if self.lost is None else self.lost.copy()
        return _Sum(self.row, self.col, self.values.copy(), valid, lost)

    def times(self, weights: Weights) -> "_Sum":
        """Returns the sum times weights (H, W), in new arrays."""
        products = np.empty(self.values.shape, np.float32)
        for plane, product in zip(self.values, products, strict=True):
            opencv().multiply(plane, weights, product)
        valid = None if self.valid is None else self.valid.copy()
        lost = None if self.lost is None else self.lost * weights
        return _Sum(self.row, self.col, products, valid, lost)

    def add(self, axis: _Axis, other: "_Sum | None") -> None:
        """Adds another sum, which begins before this one or with it along an axis, to the pixels of
        both; its pixels before this sum are nodata.
        """
        start, length = (self.col if axis else self.row), self.shape[axis]
        if other is None or (other.col if axis else other.row) + other.shape[axis] <= start:
            return
        more = other.part(axis, start, start + length)
        end = start + more.shape[axis]
        if more.lost is not None and self.lost is None:
            self.lost = np.zeros(self.shape, np.float32)
        here = self.part(axis, start, end)
        for total, plane in zip(here.values, more.values, strict=True):
            opencv().add(total, plane, total)
        if here.valid is not None:
            here.valid |= True if more.valid is None else more.valid
        if more.lost is not None and here.lost is not None:
            here.lost += more.lost


class Mosaic:
    """Blends tiles of K planes within some columns of a scene, from top to bottom."""

    def __init__(
        self, planes: int, left: int, right: int, down: TileAxis, across: TileAxis, settle: Settle
    ) -> None:
        """Starts without tiles.

        Args:
            planes: K.
            left: the first column.
            right: the column after the last.
            down: tiles along rows.
            across: tiles along columns.
            settle: called once for each pixel that a tile covers.
        """
        self._planes, self._settle = planes, settle
        self._down = down.spans()
        self._across = across.spans(left, right)
        #: By the row of tiles, for the next one in it.
        self._beside: dict[int, _Sum] = {}
        #: By the first column, for the next row of tiles.
        self._above: dict[int, _Sum] = {}
        self._lost: set[Window] = set()

    def add(self, tile: Window, values: Floats, valid: Mask | None) -> None:
        """Adds a tile's answer.

        Args:
            tile: its window in the scene; pixels beyond the columns are left out.
            values: (K, H, W).
            valid: (H, W), where the scene has data; None: everywhere.
        """
        if self._lost:
            self._add_lost(tile)
        self._add(_Sum(tile.row, tile.col, values, valid))

    def lose(self, tile: Window) -> None:
        """Records that a tile cannot be read: its pixels get the mean of the other tiles there.

        This may be called before earlier tiles are added.
        """
        self._lost.add(tile)

    def _add_lost(self, before: Window | None = None) -> None:
        """Adds the lost tiles on which a tile, or else the next row of tiles, may depend."""
        passed = {
            it
            for it in self._lost
            if before is None or (it.row <= before.row and it.col <= before.col)
        }
        self._lost -= passed
        for tile in sorted(passed):
            shape = tile.height, tile.width
            values = np.zeros((self._planes, *shape), np.float32)
            lost = np.ones(shape, np.float32)
            self._add(_Sum(tile.row, tile.col, values, np.zeros(shape, np.bool_), lost))

    def _add(self, tile: _Sum) -> None:
        down, across = self._down[tile.row], self._across.get(tile.col)
        if across is None:  # no pixel of these columns depends on it
            return
        counting = tile.part(_ROWS, down.first, down.end).part(_COLS, across.first, across.end)
        found = counting.times(_products(down.weights.tobytes(), across.weights.tobytes()))
        found.add(_COLS, self._beside.get(tile.row))
        self._beside[tile.row] = found.part(_COLS, across.next, across.end).copy()
        own = found.part(_COLS, across.first, across.next)
        if not own.values.size:
            return
        own.add(_ROWS, self._above.get(across.first))
        self._above[across.first] = own.part(_ROWS, down.next, down.end).copy()
        own = own.part(_ROWS, down.first, down.next)
        _divide_by_known(own)
        self._settle(own.window, own.values, own.valid)

    def finish(self) -> None:
        """Ends a number of whole rows of tiles."""
        self._add_lost()
        self._beside = {}

    def state(self) -> State:
        """Returns the contributions to the next row of tiles."""
        state: State = {}
        for found in self._above.values():
            place = f"{found.row},{found.col}"
            state[f"values {place}"] = found.values
            if found.valid is not None:
                state[f"valid {place}"] = found.valid
            if found.lost is not None:
                state[f"lost {place}"] = found.lost
        return state

    def restore(self, state: State) -> None:
        """Continues from the result of `state`."""
        for name in state:
            kind, _, place = name.partition(" ")
            if kind == "values":
                row, col = map(int, place.split(","))
                valid, lost = state.get(f"valid {place}"), state.get(f"lost {place}")
                self._above[col] = _Sum(row, col, state[name], valid, lost)


@lru_cache(maxsize=4)  # most tiles of a scene share one
def _products(down: bytes, across: bytes) -> Weights:
    """Returns a tile's weights, the products of those along its rows and columns."""
    return np.outer(np.frombuffer(down, np.float32), np.frombuffer(across, np.float32))


def _divide_by_known(found: _Sum) -> None:
    """Takes the mean of the other tiles, where some cannot be read."""
    if found.lost is not None:
        kept = 1 - found.lost
        known = kept > 1 - _NOTHING
        found.values /= np.where(known, kept, 1)
        found.valid = known if found.valid is None else found.valid & known
