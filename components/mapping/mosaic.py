"""Blending of overlapping tiles, a band of rows at a time."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from components.mapping.weights import Weights
from components.raster.tiles.key import Window
from components.raster.tiles.valid_mask import Mask

Floats = npt.NDArray[np.float32]

#: Weight of unread tiles from which on nothing is known about a pixel.
_NOTHING = 1 - 1e-3
#: Pixels that are compared at a time: they fit into a core's cache.
_CHUNK_PX = 1 << 15


@dataclass(frozen=True, eq=False)
class Carry:
    """Sums of rows that later tiles still change; for a run that is continued."""

    sums: Floats
    valid: Mask
    lost: Floats


class Mosaic:
    """Weighted sums of K planes over a window of some rows and columns of a scene.

    Memory is K + 2 numbers for each pixel of the window. Finished rows are taken from its top, and
    the window then moves down.
    """

    def __init__(self, planes: int, rows: int, left: int, right: int, top: int = 0) -> None:
        """Starts with nothing known.

        Args:
            planes: K.
            rows: height of the window.
            left: its first column in the scene.
            right: the first one beyond it.
            top: its first row in the scene.
        """
        width = right - left
        self._window = Window(top, left, rows, width)
        self._sums: Floats = np.zeros((planes, rows, width), np.float32)
        self._valid: Mask = np.zeros((rows, width), np.bool_)
        self._lost: Floats = np.zeros((rows, width), np.float32)
        self._has_lost = False
        self._work: Floats = np.empty((2, 0, 0), np.float32)

    def add(
        self, window: Window, values: Floats, valid: Mask, down: Weights, across: Weights
    ) -> None:
        """Adds a tile's answer.

        Args:
            window: of the tile in the scene; what lies outside of the mosaic's window is left out.
            values: (K, H, W).
            valid: (H, W), where the scene has a measurement.
            down: (H,) weights along rows.
            across: (W,) weights along columns.
        """
        here, there = self._shared(window)
        shape = (here[0].stop - here[0].start, here[1].stop - here[1].start)
        weights, weighted = self._buffers(shape)
        np.multiply.outer(down[there[0]], across[there[1]], out=weights)
        for plane, own in zip(self._sums, values, strict=True):  # fits the cores' caches
            np.multiply(own[there], weights, out=weighted)
            plane[here] += weighted
        self._valid[here] |= valid[there]

    def lose(self, window: Window, down: Weights, across: Weights) -> None:
        """Notes that a tile cannot be read: its pixels get the mean of the other tiles there."""
        here, there = self._shared(window)
        self._lost[here] += np.multiply.outer(down[there[0]], across[there[1]])
        self._has_lost = True

    def take(self, rows: int) -> tuple[Floats, Mask]:
        """Takes finished rows from the top: values (K, rows, W) and where they are known.

        The values are a view, which the next call of another method overwrites.
        """
        values, valid = self._sums[:, :rows], self._valid[:rows]
        if self._has_lost:
            kept = 1 - self._lost[:rows]
            values /= np.where(kept > 1 - _NOTHING, kept, 1)
            valid &= kept > 1 - _NOTHING
        return values, valid

    def move(self, rows: int) -> None:
        """Moves the window down by the rows that were taken."""
        for array in (*self._sums, self._valid, self._lost):
            array[:-rows] = array[rows:]
            array[-rows:] = 0
        self._window = Window(self._window.row + rows, *_rest(self._window))
        self._has_lost = bool(self._lost.any())

    def carry(self, rows: int) -> Carry:
        """Returns copies of the first rows, all that a window moved here can hold."""
        return Carry(
            self._sums[:, :rows].copy(), self._valid[:rows].copy(), self._lost[:rows].copy()
        )

    def restore(self, carry: Carry) -> None:
        """Sets the first rows to those of `carry`."""
        rows = len(carry.valid)
        self._sums[:, :rows], self._valid[:rows] = carry.sums, carry.valid
        self._lost[:rows] = carry.lost
        self._has_lost = bool(carry.lost.any())

    def _buffers(self, shape: tuple[int, int]) -> tuple[Floats, Floats]:
        """Returns two arrays to work in; fresh memory would cost more than the sums."""
        if self._work.shape[1:] != shape:
            self._work = np.empty((2, *shape), np.float32)
        return self._work[0], self._work[1]

    def _shared(self, window: Window) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        shared = window.intersection(self._window)
        return shared.relative_to(self._window).slices, shared.relative_to(window).slices


def _rest(window: Window) -> tuple[int, int, int]:
    return window.col, window.height, window.width


def most_probable(
    values: Floats, valid: Mask, nodata: int, dtype: type[np.uint8] | type[np.uint16]
) -> tuple[npt.NDArray[np.integer], Floats]:
    """Returns each pixel's class (H, W), nodata where not valid, and its probability.

    Of equally probable classes the first is taken. Faster than numpy's argmax along the first axis.
    """
    height, width = valid.shape
    best, classes = np.empty((height, width), np.float32), np.zeros((height, width), dtype)
    step = max(1, _CHUNK_PX // max(width, 1))
    for first in range(0, height, step):
        rows = slice(first, min(first + step, height))
        most, chosen = best[rows], classes[rows]
        most[...] = values[0, rows]
        for number in range(1, len(values)):
            better = np.greater(values[number, rows], most).view(np.uint8)
            # The last one that is better is the largest number: faster than a masked assignment.
            np.maximum(chosen, np.multiply(better, number, dtype=dtype), out=chosen)
            np.maximum(most, values[number, rows], out=most)
    classes[~valid] = nodata
    return classes, best
