"""A tile blended with its neighbours, and the most probable class of each pixel."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from components.mapping.compiled import LOOPS, STEPS, Bytes, Floats, Indices
from components.raster.opencv import opencv

#: About the number of pixels compared at a time, which fit into a core's cache.
_CHUNK_PX = 1 << 15


@dataclass(eq=False)
class Blend:
    """Weighted sum of a tile and the contributions of the tiles on its left and above it.

    The last columns are not final, since the next tile in the row covers them; nor are the last
    rows of the other columns. `values` or `classes` must be called once: it writes these sums, to
    which later tiles are added.

    Attributes:
        tile: (K, H, W).
        corner: first row and column with a weight.
        weights: of the rows (h,) and of the columns (w,).
        beside: (K, h, <= w), contributions of the tiles on the left to the first columns.
        above: (K, <= h, v), contributions of the tiles above to the first rows.
        next_beside: (K, h, w - v), output: sums for the next tile in this row.
        next_above: (K, h - u, v), output: sums for the next row of tiles.
    """

    tile: Floats
    corner: tuple[int, int]
    weights: tuple[Floats, Floats]
    beside: Floats
    above: Floats
    next_beside: Floats
    next_above: Floats

    @classmethod
    def of(cls, values: Floats) -> "Blend":
        """Wraps pixels (K, H, W) that are final already."""
        planes, height, width = values.shape
        sides = ((0, 0), (0, 0), (height, 0), (0, width))
        nothing = (np.empty((planes, *side), np.float32) for side in sides)
        weights = np.ones(height, np.float32), np.ones(width, np.float32)
        return cls(np.ascontiguousarray(values), (0, 0), weights, *nothing)

    def values(self) -> Floats:
        """Returns the final pixels (K, u, v)."""
        cv, (row, col), (down, across) = opencv(), self.corner, self.weights
        weights = _products(down.tobytes(), across.tobytes())
        counting = self.tile[:, row : row + len(down), col : col + len(across)]
        sums = np.empty(counting.shape, np.float32)
        final_rows = len(down) - self.next_above.shape[1]
        final_cols = len(across) - self.next_beside.shape[2]
        shared = sums[:, :, : self.beside.shape[2]]
        below = sums[:, : self.above.shape[1], :final_cols]
        for plane, total in zip(counting, sums, strict=True):
            cv.multiply(plane, weights, total)
        for first, more in ((shared, self.beside), (below, self.above)):
            for total, plane in zip(first, more, strict=True) if more.size else ():
                cv.add(total, plane, total)
            if first is shared:
                self.next_beside[:] = sums[:, :, final_cols:]
        self.next_above[:] = sums[:, final_rows:, :final_cols]
        return sums[:, :final_rows, :final_cols]

    def classes(self, classes: Indices, confidence: Bytes, corner: tuple[int, int]) -> None:
        """Writes the most probable classes of the final pixels, and their probabilities in steps.

        Args:
            classes: output array of classes.
            confidence: output array of probabilities.
            corner: row and column of the first pixel in both.
        """
        loops = LOOPS.loaded(classes.dtype)
        if loops is None:
            _compare(self.values(), classes, confidence, corner)
            return
        self._check(classes[corner[0] :, corner[1] :], confidence[corner[0] :, corner[1] :])
        loops(
            self.tile,
            *self.corner,
            *self.weights,
            self.beside,
            self.above,
            self.next_beside,
            self.next_above,
            classes,
            confidence,
            *corner,
        )

    def _check(self, *targets: npt.NDArray[np.unsignedinteger]) -> None:
        """Raises a ValueError if array shapes do not match: compiled loops check no index."""
        planes, height, width = self.tile.shape
        (row, col), (rows, cols) = self.corner, (len(it) for it in self.weights)
        final_rows, final_cols = rows - self.next_above.shape[1], cols - self.next_beside.shape[2]
        fits = (
            (row + rows <= height and col + cols <= width)
            and (final_rows >= 0 and final_cols >= 0)
            and self.next_beside.shape[:2] == (planes, rows)
            and self.next_above.shape[::2] == (planes, final_cols)
            and (not self.beside.size or self.beside.shape[:2] == (planes, rows))
            and (not self.above.size or self.above.shape[::2] == (planes, final_cols))
            and (self.beside.shape[2] <= cols and self.above.shape[1] <= rows)
            and all(it.shape[0] >= final_rows and it.shape[1] >= final_cols for it in targets)
        )
        if not fits:
            raise ValueError("the arrays of a tile and of its neighbours do not match")


@lru_cache(maxsize=4)  # most tiles of a scene share one
def _products(down: bytes, across: bytes) -> Floats:
    """Returns a tile's weights, the products of those along its rows and columns."""
    return np.outer(np.frombuffer(down, np.float32), np.frombuffer(across, np.float32))


def _compare(values: Floats, classes: Indices, confidence: Bytes, corner: tuple[int, int]) -> None:
    _, height, width = values.shape
    top, left = corner
    step = -(-height // max(1, round(height * width / _CHUNK_PX)))
    for first in range(0, height, max(step, 1)):
        part = values[:, first : first + step]
        rows = slice(top + first, top + first + part.shape[1])
        here = rows, slice(left, left + width)
        classes[here], best = most_probable(part, classes.dtype)
        confidence[here] = in_steps(best)


def most_probable(values: Floats, dtype: npt.DTypeLike) -> tuple[Indices, Floats]:
    """Returns each pixel's class (H, W), and its probability, of values (K, H, W).

    The first of equally probable classes wins. Faster than numpy's argmax along the first axis.
    """
    cv, best = opencv(), values[0]
    classes, number = np.zeros(best.shape, dtype), np.empty(best.shape, dtype)
    is_more, most = np.empty(best.shape, np.uint8), np.empty(best.shape, np.float32)
    for index, plane in enumerate(values[1:], 1):
        cv.compare(plane, best, cv.CMP_GT, is_more)
        best = cv.max(plane, best, most)
        number.fill(index)
        cv.copyTo(number, is_more, classes)
    return classes, best


def in_steps(probabilities: Floats) -> Bytes:
    """Returns probabilities (H, W) as multiples of 0.004."""
    cv = opencv()
    steps = cv.convertScaleAbs(probabilities, None, STEPS, 0)
    cv.threshold(steps, STEPS, STEPS, cv.THRESH_TRUNC, steps)
    return np.asarray(steps, np.uint8)
