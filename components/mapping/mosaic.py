"""Blending of overlapping tiles.

Tiles come in rows from left to right, and rows from top to bottom. Each is added to the
contributions of earlier tiles in its row, and then of those above it, to its pixels. Pixels that no
later tile covers are then final, and are settled at once. The tile's contributions to pixels of
later tiles are kept until these come.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from components.mapping.blending import Blend
from components.mapping.compiled import Floats
from components.mapping.weights import TileAxis
from components.raster.tiles.key import Window
from components.raster.tiles.valid_mask import Mask

#: Arrays by name, from which a run continues.
State: TypeAlias = dict[str, npt.NDArray[Any]]
#: Receives final pixels: their window in the scene, their blend, which it must evaluate once, and a
#: mask of known pixels (H, W); None: all.
Settle: TypeAlias = Callable[[Window, Blend, Mask | None], None]

#: Least weight of unread tiles at which a pixel counts as unknown.
_NOTHING = 1 - 1e-3


class _Marks(NamedTuple):
    """Masks of some pixels, by the tiles that contribute to them.

    Attributes:
        valid: (H, W), where a tile has data; None: everywhere, as in most tiles.
        lost: (H, W), weight of tiles that cannot be read; None if there are none.
    """

    valid: Mask | None = None
    lost: Floats | None = None

    def part(self, rows: slice, cols: slice) -> "_Marks":
        """Returns the masks of a part of the pixels, in new arrays."""
        if self.valid is None and self.lost is None:
            return self
        return _Marks(
            None if self.valid is None else self.valid[rows, cols].copy(),
            None if self.lost is None else self.lost[rows, cols].copy(),
        )

    def plus(self, more: "_Marks", shape: tuple[int, int], first: tuple[int, int]) -> "_Marks":
        """Adds masks of the first rows and columns; changes the arrays.

        Args:
            more: masks to add.
            shape: rows and columns of all pixels.
            first: rows and columns of `more`.
        """
        if self.valid is None and more.lost is None:
            return self
        where = slice(first[0]), slice(first[1])
        if self.valid is not None:
            self.valid[where] |= True if more.valid is None else more.valid
        if more.lost is None:
            return self
        lost = np.zeros(shape, np.float32) if self.lost is None else self.lost
        lost[where] += more.lost
        return _Marks(self.valid, lost)


_EVERYWHERE = _Marks()
_ALL = slice(None)


class _Contribution(NamedTuple):
    """Contributions of tiles to pixels of later tiles: weighted sums.

    Attributes:
        row: first row in the scene.
        col: first column in the scene.
        values: (K, H, W).
        marks: of the same pixels.
    """

    row: int
    col: int
    values: Floats
    marks: _Marks = _EVERYWHERE

    def below(self, row: int) -> "_Contribution":
        """Returns the part from a row on."""
        if row == self.row:
            return self
        rows = slice(min(row - self.row, self.values.shape[1]), None)
        values = np.ascontiguousarray(self.values[:, rows])
        return _Contribution(row, self.col, values, self.marks.part(rows, _ALL))

    def right_of(self, col: int) -> "_Contribution":
        """Returns the part from a column on."""
        if col == self.col:
            return self
        cols = slice(min(col - self.col, self.values.shape[2]), None)
        values = np.ascontiguousarray(self.values[:, :, cols])
        return _Contribution(self.row, col, values, self.marks.part(_ALL, cols))


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
        self._beside: dict[int, _Contribution] = {}
        #: By the first column, for the next row of tiles.
        self._above: dict[int, _Contribution] = {}
        self._nothing = _Contribution(0, 0, np.empty((planes, 0, 0), np.float32))
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
        self._add(tile, values, _Marks(valid))

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
            self._add(tile, values, _Marks(np.zeros(shape, np.bool_), lost))

    def _add(self, tile: Window, values: Floats, marks: _Marks) -> None:
        down, across = self._down[tile.row], self._across.get(tile.col)
        if across is None:  # no pixel of these columns depends on it
            return
        # Rows and columns of the pixels that count, and of those that are final.
        rows, final_rows = down.end - down.first, down.next - down.first
        cols, final_cols = across.end - across.first, across.next - across.first
        row, col = down.first - tile.row, across.first - tile.col
        beside = self._beside.get(tile.row, self._nothing).right_of(across.first)
        above = self._above.get(across.first, self._nothing).below(down.first)
        above = above if final_cols else self._nothing
        blend = Blend(
            values,
            (row, col),
            (down.weights, across.weights),
            beside.values,
            above.values,
            np.empty((self._planes, rows, cols - final_cols), np.float32),
            np.empty((self._planes, rows - final_rows, final_cols), np.float32),
        )
        marks = marks.part(slice(row, row + rows), slice(col, col + cols))
        if marks.lost is not None:
            marks.lost[:] *= np.outer(down.weights, across.weights)
        marks = marks.plus(beside.marks, (rows, cols), beside.values.shape[1:])
        later = marks.part(_ALL, slice(final_cols, None))
        self._beside[tile.row] = _Contribution(down.first, across.next, blend.next_beside, later)
        marks = marks.part(_ALL, slice(final_cols))
        marks = marks.plus(above.marks, (rows, final_cols), above.values.shape[1:])
        later = marks.part(slice(final_rows, None), _ALL)
        if final_cols:  # the first tiles of some columns may begin to count at the same place
            self._above[across.first] = _Contribution(
                down.next, across.first, blend.next_above, later
            )
        marks = marks.part(slice(final_rows), _ALL)
        valid = marks.valid
        if marks.lost is not None:
            blend, valid = _mean_of_known(blend, valid, marks.lost)
        window = Window(down.first, across.first, final_rows, final_cols)
        if window.area_px:
            self._settle(window, blend, valid)
        else:
            blend.values()  # for later tiles

    def finish(self) -> None:
        """Ends a number of whole rows of tiles."""
        self._add_lost()
        self._beside = {}

    def state(self) -> State:
        """Returns the contributions to the next row of tiles."""
        state: State = {}
        for given in self._above.values():
            place = f"{given.row},{given.col}"
            state[f"values {place}"] = given.values
            for name, found in given.marks._asdict().items():
                if found is not None:
                    state[f"{name} {place}"] = found
        return state

    def restore(self, state: State) -> None:
        """Continues from the result of `state`."""
        for name in state:
            kind, _, place = name.partition(" ")
            if kind == "values":
                row, col = map(int, place.split(","))
                marks = _Marks(state.get(f"valid {place}"), state.get(f"lost {place}"))
                self._above[col] = _Contribution(row, col, state[name], marks)


def _mean_of_known(blend: Blend, valid: Mask | None, lost: Floats) -> tuple[Blend, Mask]:
    """Takes the mean of the other tiles, where some cannot be read; returns where there are any."""
    kept = 1 - lost
    known = kept > 1 - _NOTHING
    values = blend.values()
    values /= np.where(known, kept, 1)
    return Blend.of(values), known if valid is None else valid & known
