"""Blending of overlapping tiles, a band of rows at a time.

At most pixels one tile alone counts. Its answer is settled at once, while it is in a core's cache;
sums are kept only where several tiles count.
"""

from collections.abc import Callable, Iterator
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from components.mapping.weights import Axis, TileWeights
from components.raster.tiles.key import Window
from components.raster.tiles.valid_mask import Mask

Floats = npt.NDArray[np.float32]
#: Arrays by name, for a run that is continued.
State: TypeAlias = dict[str, npt.NDArray[np.generic]]
#: Takes final values: rows and columns of the mosaic's window, values (K, H, W), and where they are
#: known (H, W). The arrays are overwritten afterwards.
Settle: TypeAlias = Callable[[slice, slice, Floats, Mask], None]

#: Weight of unread tiles from which on nothing is known about a pixel.
_NOTHING = 1 - 1e-3
_Region = tuple[slice, slice]


class Mosaic:
    """Weighted sums of K planes over a window of some rows and columns of a scene.

    Memory is K numbers for each pixel of the window, and one more if tiles cannot be read. Rows are
    finished at its top, and the window then moves down.
    """

    def __init__(
        self, planes: int, window: Window, down: Axis, across: Axis, settle: Settle
    ) -> None:
        """Starts with nothing known.

        Args:
            planes: K.
            window: rows and columns in the scene.
            down: weights along rows.
            across: weights along columns.
            settle: is called once for each pixel of finished rows that a tile answered.
        """
        self._window, self._down, self._across, self._settle = window, down, across, settle
        shape = (window.height, window.width)
        self._sums: Floats = np.zeros((planes, *shape), np.float32)
        self._valid: Mask = np.zeros(shape, np.bool_)
        self._lost: Floats | None = None

    def add(self, window: Window, values: Floats, valid: Mask) -> None:
        """Adds a tile's answer.

        Args:
            window: of the tile in the scene; what lies outside of the mosaic's window is left out.
            values: (K, H, W).
            valid: (H, W), where the scene has a measurement.
        """
        down, across = self._down.tile(window.row), self._across.tile(window.col)
        for here, there, alone in self._regions(window, down, across):
            own = values[:, *there]
            if alone:
                self._settle(*here, own, valid[there])
            else:
                weights = np.multiply.outer(down.weights[there[0]], across.weights[there[1]])
                self._sums[:, *here] += own * weights
                self._valid[here] |= valid[there]

    def lose(self, window: Window) -> None:
        """Notes that a tile cannot be read: its pixels get the mean of the other tiles there."""
        if self._lost is None:
            self._lost = np.zeros(self._valid.shape, np.float32)
        down, across = self._down.tile(window.row), self._across.tile(window.col)
        for here, there, alone in self._regions(window, down, across):
            if not alone:
                rows, cols = down.weights[there[0]], across.weights[there[1]]
                self._lost[here] += np.multiply.outer(rows, cols)

    def finish(self, rows: int, kept: int) -> None:
        """Settles the first rows where several tiles count, and moves the window below them.

        Args:
            rows: that no later tile changes.
            kept: rows below them that have sums already.
        """
        window = self._window
        for down, one_row in self._down.runs(window.row, window.row + rows):
            if not one_row:
                self._settle_sums(down, slice(0, window.width))
                continue
            for across, one_column in self._across.runs(window.col, window.right):
                if not one_column:
                    self._settle_sums(down, across)
        for array in (*self._sums, self._valid, *([] if self._lost is None else [self._lost])):
            array[:kept] = array[rows : rows + kept]
            array[max(rows, kept) : rows + kept] = 0
        if self._lost is not None and not self._lost.any():
            self._lost = None
        self._window = Window(window.row + rows, window.col, window.height, window.width)

    def state(self, rows: int) -> State:
        """Returns the first rows, all that a window moved here can hold."""
        lost = {} if self._lost is None else {"lost": self._lost[:rows]}
        return {"sums": self._sums[:, :rows], "valid": self._valid[:rows], **lost}

    def restore(self, state: State) -> None:
        """Sets the first rows to those of `state`."""
        rows = len(state["valid"])
        self._sums[:, :rows], self._valid[:rows] = state["sums"], state["valid"]
        if "lost" in state:
            self._lost = np.zeros(self._valid.shape, np.float32)
            self._lost[:rows] = state["lost"]

    def _regions(
        self, window: Window, down: TileWeights, across: TileWeights
    ) -> Iterator[tuple[_Region, _Region, bool]]:
        """Yields parts of a tile that count, within the mosaic's window.

        Each is rows and columns of the mosaic, the same of the tile, and the flag that the tile
        counts alone there.
        """
        top, left = window.row - self._window.row, window.col - self._window.col
        middle = (down.whole, down.falling)
        parts = (
            (*middle, across.whole, across.falling, True),
            (down.first, down.whole, across.first, across.end, False),
            (*middle, across.first, across.whole, False),
            (*middle, across.falling, across.end, False),
            (down.falling, down.end, across.first, across.end, False),
        )
        for first, end, begin, stop, alone in parts:
            first, end = max(first, -top), min(end, self._window.height - top)
            begin, stop = max(begin, -left), min(stop, self._window.width - left)
            if first < end and begin < stop:
                here = slice(first + top, end + top), slice(begin + left, stop + left)
                yield here, (slice(first, end), slice(begin, stop)), alone

    def _settle_sums(self, rows: slice, cols: slice) -> None:
        """Settles a part of the sums and clears them."""
        values, valid = self._sums[:, rows, cols], self._valid[rows, cols]
        if self._lost is not None:
            kept = 1 - self._lost[rows, cols]
            known = kept > 1 - _NOTHING
            values /= np.where(known, kept, 1)
            valid &= known
            self._lost[rows, cols] = 0
        self._settle(rows, cols, values, valid)
        values[...] = 0
        valid[...] = False
