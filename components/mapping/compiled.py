"""Loops over the pixels of tiles, compiled by Numba if it is installed and a map is large.

OpenCV's operations take a dozen passes over all planes, each through memory; in these loops a row
of pixels stays in a core's nearest cache until its classes are known. Loading takes half a second
of processor time, which small maps do not repay. It runs in a thread; until then, OpenCV blends the
tiles. Both give the same bytes.
"""

from collections.abc import Callable
from functools import cache
from threading import Lock, Thread
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float32]
Indices: TypeAlias = npt.NDArray[np.unsignedinteger]
Bytes: TypeAlias = npt.NDArray[np.uint8]
#: `blend_rows`, compiled.
Loops: TypeAlias = Callable[..., None]

#: Multiples of 0.004 that are stored for a probability of 1.
STEPS = 250
#: Pixels of tiles, about, for which loading takes as long as it saves.
_WORTH_PX = 1 << 27


def blend_rows(
    values: Floats,
    row: np.uint64,
    col: np.uint64,
    down: Floats,
    across: Floats,
    beside: Floats,
    above: Floats,
    next_beside: Floats,
    next_above: Floats,
    classes: Indices,
    confidence: Bytes,
    top: np.uint64,
    left: np.uint64,
) -> None:
    """Blends a tile as `components.mapping.blending.Blend` describes it, row by row.

    Integers are unsigned: Numba checks the sign of other indices, and then uses no vectors.

    Args:
        values: (K, H, W) of the tile.
        row: first row with a weight.
        col: first column with a weight.
        down: weights of the rows, (h,).
        across: weights of the columns, (w,).
        beside: (K, h, <= w), contributions of the tiles on the left.
        above: (K, <= h, v), contributions of the tiles above.
        next_beside: (K, h, w - v), output: sums for the next tile in this row.
        next_above: (K, h - u, v), output: sums for the next row of tiles.
        classes: output: the most probable classes of the (u, v) final pixels.
        confidence: output: their probabilities in steps.
        top: row of the first final pixel in `classes` and `confidence`.
        left: its column.
    """
    planes = np.uint64(values.shape[0])
    height, width = np.uint64(down.shape[0]), np.uint64(across.shape[0])
    on_left, shared = np.uint64(beside.shape[2]), np.uint64(next_beside.shape[2])
    rows_above, final = np.uint64(above.shape[1]), height - np.uint64(next_above.shape[1])
    inner = width - shared
    weights, sums = np.empty(width, np.float32), np.empty(width, np.float32)
    best, numbers = np.empty(inner, np.float32), np.empty(inner, np.int32)
    most = np.float32(STEPS)
    for y in range(height):
        for x in range(width):
            weights[x] = down[y] * across[x]
        for plane in range(planes):
            for x in range(width):
                sums[x] = values[plane, row + y, col + x] * weights[x]
            for x in range(on_left):
                sums[x] += beside[plane, y, x]
            for x in range(shared):
                next_beside[plane, y, x] = sums[inner + x]
            if y < rows_above:
                for x in range(inner):
                    sums[x] += above[plane, y, x]
            if y >= final:
                for x in range(inner):
                    next_above[plane, y - final, x] = sums[x]
            elif plane == np.uint64(0):
                for x in range(inner):
                    best[x] = sums[x]
                    numbers[x] = np.int32(0)
            else:
                number = np.int32(plane)
                for x in range(inner):
                    is_more = sums[x] > best[x]
                    best[x] = sums[x] if is_more else best[x]
                    numbers[x] = number if is_more else numbers[x]
        if y < final:
            for x in range(inner):
                classes[top + y, left + x] = numbers[x]
            for x in range(inner):
                steps = np.rint(best[x] * most)
                confidence[top + y, left + x] = np.int32(steps if steps < most else most)


class CompiledLoops:
    """Loops for each type of class indices, loaded in a thread once enough pixels are expected."""

    def __init__(self, worth_px: int = _WORTH_PX) -> None:
        """Starts with nothing loaded.

        Args:
            worth_px: least number of expected pixels of tiles at which to load.
        """
        self._worth_px, self._expected_px = worth_px, 0
        self._lock = Lock()
        self._loading: dict[str, Thread] = {}
        self._loaded: dict[str, Loops] = {}

    def expect(self, tiles_px: int, dtype: npt.DTypeLike) -> None:
        """Adds to the number of expected pixels of tiles; starts to load once there are enough."""
        name = np.dtype(dtype).name
        with self._lock:
            self._expected_px += tiles_px
            if self._expected_px < self._worth_px or name in self._loading:
                return
            self._loading[name] = Thread(target=self._load, args=(name,), name="compile")
        self._loading[name].start()

    def loaded(self, dtype: npt.DTypeLike) -> Loops | None:
        """Returns the loops; None if they are not loaded, or not yet."""
        return self._loaded.get(np.dtype(dtype).name)

    def _load(self, name: str) -> None:
        try:
            self._loaded[name] = compiled(name)
        except ImportError:  # it is not installed, or not for this version of NumPy
            return


#: Those of this process.
LOOPS = CompiledLoops()


@cache
def compiled(dtype: str) -> Loops:
    """Returns `blend_rows`, compiled for class indices of a type.

    The machine code is cached: beside this file where that may be written, else in the user's
    cache.

    Raises:
        ImportError: there is no Numba.
    """
    import numba

    def array(dtype: str, dimensions: int, *, is_read: bool = False) -> Any:
        return numba.types.Array(getattr(numba.types, dtype), dimensions, "C", readonly=is_read)

    size, written = numba.types.uint64, array("float32", 3)
    read, line = array("float32", 3, is_read=True), array("float32", 1, is_read=True)
    signature = numba.types.void(
        *(read, size, size, line, line, read, read, written, written),
        *(array(dtype, 2), array("uint8", 2), size, size),
    )
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
    try:
        return numba.njit(signature, cache=True, **options)(blend_rows)
    except Exception:  # no folder can be written, the disk is full, or the cache is broken
        return numba.njit(signature, **options)(blend_rows)
