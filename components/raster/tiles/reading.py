"""Tiles from a plan: blocks are decoded once, ahead of use, on all cores; tiles are cut out of
them.

Tiles are cut out block by block. Only a few blocks are in memory at a time or, if tiles extend
across rows of blocks, one or two rows of them over a bounded width. So memory depends on the size
of tiles and blocks and not on that of the scene. (A file stored in strips has blocks as wide as
itself; its memory grows with its width, not with its height.)
"""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from components.raster.library_errors import LibraryError
from components.raster.reasons import Reason
from components.raster.tiles.key import TileKey, Window
from components.raster.tiles.parts import PlanPart
from components.raster.tiles.reader import ViewReader
from components.raster.tiles.tile import Tile, TileReject
from components.raster.tiles.valid_mask import Mask, Pixels, stored_nodata
from components.raster.tiles.view import View

#: Approximate memory of the decoded pixels kept at once.
MEMORY_BYTES = 48 * 2**20
#: Least size of one call to GDAL. It decodes several whole blocks in parallel and bypasses its own
#: cache, which takes less work than block by block.
_UNIT_BYTES = 2**22

_Unit = tuple[int, int]
_Block = tuple[Pixels, Mask]


def read_tiles(
    view: View,
    part: PlanPart,
    *,
    min_valid_fraction: float = 0.0,
    threads: int | None = None,
    memory_bytes: int = MEMORY_BYTES,
) -> Iterator[Tile | TileReject]:
    """Yields the tiles of a part of a plan, or their rejects, each once.

    Their order is fixed: block by block, in columns of blocks if the scene is too wide for the
    memory. A block that cannot be read costs only the tiles that need it.

    Args:
        view: bands and grid; the plan must have been made for its grid.
        part: the tiles to read.
        min_valid_fraction: tiles with a smaller one become rejects.
        threads: number that decode; None: one for each core.
        memory_bytes: approximate size of the decoded pixels to keep; at least two rows of tiles.

    Raises:
        ValueError: the plan is another grid's.

    >>> from components.raster.scene.folders import find_scenes
    >>> from components.raster.scene.probe import open_scene
    >>> from components.raster.tiles.parts import whole
    >>> from components.raster.tiles.tiling import Tiling, plan_tiles
    >>> from components.raster.tiles.view import view_scene
    >>> [source] = find_scenes(scene_file).sources
    >>> view = view_scene(open_scene(source))
    >>> plan = plan_tiles("north", view.grid, Tiling(size_px=32))
    >>> tiles = list(read_tiles(view, whole(plan)))
    >>> len(tiles), tiles[0].pixels.shape, tiles[0].valid_fraction
    (6, (32, 32, 2), 1.0)
    """
    plan = part.plan
    if (plan.height_px, plan.width_px) != (view.grid.height_px, view.grid.width_px):
        raise ValueError(f"the plan of {plan.scene_id} was made for another grid")
    units = _Units.of(view)
    with _Decoder(view, units, threads or os.cpu_count() or 1) as decoder:
        for cols in _chunks(view, part, units, memory_bytes):
            yield from _read_columns(view, part, cols, decoder, min_valid_fraction)


def read_chip(view: View) -> Tile | TileReject:
    """Reads a whole small raster as one tile, for collections with a file for each tile."""
    window = Window(0, 0, view.grid.height_px, view.grid.width_px)
    key = TileKey(view.scene.scene_id, window)
    try:
        pixels, valid = read_window(view, window)
    except LibraryError as error:
        return TileReject(key, Reason.UNREADABLE_BLOCK, str(error))
    [lonlat] = _centres(view, [key])
    return Tile(key, pixels, valid, view.grid.transform, view.grid.crs, lonlat)


def read_window(view: View, window: Window) -> tuple[Pixels, Mask]:
    """Reads pixels (H, W, C) and valid mask (H, W) of any window; padded outside the scene."""
    extent = Window(0, 0, view.grid.height_px, view.grid.width_px)
    inside = window.intersection(extent)
    pixels, valid = _padding(view, window)
    if inside.area_px:
        with ViewReader(view) as reader:
            found = reader.read(inside)
        where = inside.relative_to(window).slices
        pixels[where], valid[where] = found
    return pixels, valid


def unit_shape(view: View) -> tuple[int, int]:
    """Returns (rows, columns) read by one call: a block, or several if blocks are small."""
    rows, cols = view.block_shape
    rows, cols = min(rows, view.grid.height_px), min(cols, view.grid.width_px)
    while rows * cols * view.pixel_bytes < _UNIT_BYTES:
        if cols <= rows and cols < view.grid.width_px:
            cols *= 2
        elif rows < view.grid.height_px:
            rows *= 2
        elif cols < view.grid.width_px:
            cols *= 2
        else:
            break
    return rows, cols


@dataclass(frozen=True)
class _Units:
    """Units of reading: whole blocks, aligned with the file's blocks on the grid.

    Attributes:
        shape: (rows, columns) of a unit.
        shift: (rows, columns) of the first units that lie before the grid.
        extent: of the grid.
    """

    shape: tuple[int, int]
    shift: tuple[int, int]
    extent: Window

    @classmethod
    def of(cls, view: View) -> "_Units":
        extent = Window(0, 0, view.grid.height_px, view.grid.width_px)
        return cls(unit_shape(view), view.block_shift, extent)

    def row_of(self, row: int) -> int:
        """Returns the row of units that holds a row of pixels."""
        return (row + self.shift[0]) // self.shape[0]

    def col_of(self, col: int) -> int:
        """Returns the column of units that holds a column of pixels."""
        return (col + self.shift[1]) // self.shape[1]

    def window(self, unit: _Unit) -> Window:
        """Returns the pixels of a unit, clipped to the grid."""
        (rows, cols), (down, right) = self.shape, self.shift
        whole = Window(unit[0] * rows - down, unit[1] * cols - right, rows, cols)
        return whole.intersection(self.extent)

    def under(self, window: Window) -> Iterator[_Unit]:
        """Yields the units that a tile needs."""
        inside = window.intersection(self.extent)
        for row in range(self.row_of(inside.row), self.row_of(inside.bottom - 1) + 1):
            for col in range(self.col_of(inside.col), self.col_of(inside.right - 1) + 1):
                yield row, col


class _Decoder:
    """Decodes units in threads; each thread has its own handles."""

    def __init__(self, view: View, units: _Units, threads: int) -> None:
        self.units = units
        self._view, self._threads = view, threads
        #: Number of tile groups that are decoded ahead.
        self.ahead = threads + 1
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="decode")
        self._own = threading.local()
        self._readers: list[ViewReader] = []
        self._lock = threading.Lock()

    def __enter__(self) -> "_Decoder":
        return self

    def __exit__(self, *exception: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        for reader in self._readers:
            reader.close()

    def submit(self, unit: _Unit) -> "Future[_Block]":
        return self._pool.submit(self._decode, unit)

    def read(self, window: Window) -> _Block:
        """Reads a single window within the grid."""
        return self._pool.submit(lambda: self._reader().read(window)).result()

    def _decode(self, unit: _Unit) -> _Block:
        return self._reader().read(self.units.window(unit))

    def _reader(self) -> ViewReader:
        if not hasattr(self._own, "reader"):
            self._own.reader = ViewReader(self._view, self._threads)
            with self._lock:
                self._readers.append(self._own.reader)
        reader: ViewReader = self._own.reader
        return reader


def _chunks(view: View, part: PlanPart, units: _Units, memory_bytes: int) -> Iterator[range]:
    """Yields ranges of tile columns whose blocks fit into memory while rows of tiles pass."""
    plan, unit = part.plan, units.shape
    # Tiles that begin in one row of units extend over this many. The first of these rows is
    # released when the last one comes, so not all of them are in memory at once.
    reached = -(-(unit[0] - 1 + plan.size_px) // unit[0])
    alive_px = min(max(reached - 1, 1) * unit[0], plan.height_px)
    width_px = max(memory_bytes // (alive_px * view.pixel_bytes), unit[1])
    start = part.cols.start
    for number in part.cols:
        right = min(plan.cols[number] + plan.size_px, plan.width_px)
        left = units.col_of(plan.cols[start]) * unit[1] - units.shift[1]
        # A chunk ends where tiles begin in a new column of units, so few are read twice.
        before = plan.cols[max(number - 1, start)]
        new_unit = units.col_of(plan.cols[number]) != units.col_of(before)
        if new_unit and right - left > width_px:
            yield range(start, number)
            start = number
    yield range(start, part.cols.stop)


@dataclass(frozen=True)
class _Group:
    """Tiles that begin in one unit: they are cut out together, since they need the same pixels.

    Attributes:
        keys: the tiles.
        lonlats: their centres.
        left: of the first tile.
        top: of the first tile; groups of one row share it.
        next_top: where the next row of groups begins.
    """

    keys: list[TileKey]
    lonlats: list[tuple[float, float]]
    top: int
    left: int
    next_top: int


def _groups(view: View, part: PlanPart, cols: range, units: _Units) -> Iterator[_Group]:
    """Yields groups of the tiles of some columns, unit by unit, row by row."""
    plan = part.plan
    row_ranges = list(_by_unit(plan.rows, part.rows, units.row_of))
    for number, rows in enumerate(row_ranges):
        after = row_ranges[number + 1 :]
        next_top = plan.rows[after[0].start] if after else plan.height_px
        by_unit = []
        for columns in _by_unit(plan.cols, cols, units.col_of):
            keys = [key for row in rows for key in plan.keys_in_row(row, columns)]
            if keys:
                by_unit.append((plan.cols[columns.start], keys))
        # One projection for the whole row: each call costs as much as thousands of points.
        lonlats = iter(_centres(view, [key for _, keys in by_unit for key in keys]))
        for left, keys in by_unit:
            centres = [next(lonlats) for _ in keys]
            yield _Group(keys, centres, plan.rows[rows.start], left, next_top)


def _by_unit(
    starts: Sequence[int], numbers: range, unit_of: Callable[[int], int]
) -> Iterator[range]:
    """Yields ranges of tile numbers whose tiles begin in one unit."""
    first = numbers.start
    for number in numbers:
        if unit_of(starts[number]) != unit_of(starts[first]):
            yield range(first, number)
            first = number
    if len(numbers):
        yield range(first, numbers.stop)


def _read_columns(
    view: View, part: PlanPart, cols: range, decoder: _Decoder, min_valid_fraction: float
) -> Iterator[Tile | TileReject]:
    """Yields the tiles of some columns; decodes units a few groups ahead and then drops them."""
    alive: dict[_Unit, Future[_Block]] = {}
    ahead: deque[_Group] = deque()
    for group in _groups(view, part, cols, decoder.units):
        for key in group.keys:
            for unit in decoder.units.under(key.window):
                if unit not in alive:
                    alive[unit] = decoder.submit(unit)
        ahead.append(group)
        if len(ahead) > decoder.ahead:
            yield from _finish(view, ahead, alive, decoder, min_valid_fraction)
    while ahead:
        yield from _finish(view, ahead, alive, decoder, min_valid_fraction)


def _finish(
    view: View,
    ahead: deque[_Group],
    alive: dict[_Unit, "Future[_Block]"],
    decoder: _Decoder,
    min_valid_fraction: float,
) -> Iterator[Tile | TileReject]:
    """Yields the tiles of the first group, then drops the units that no later group needs."""
    group = ahead.popleft()
    yield from _cut_out(view, group, alive, decoder, min_valid_fraction)
    following = ahead[0] if ahead else None
    same_row = following is not None and following.top == group.top
    for unit in list(alive):
        window = decoder.units.window(unit)
        passed = following is not None and window.right <= following.left if same_row else True
        if following is None or (passed and window.bottom <= group.next_top):
            del alive[unit]


def _cut_out(
    view: View,
    group: _Group,
    alive: dict[_Unit, "Future[_Block]"],
    decoder: _Decoder,
    min_valid_fraction: float,
) -> Iterator[Tile | TileReject]:
    for key, lonlat in zip(group.keys, group.lonlats, strict=True):
        try:
            pixels, valid = _assemble_or_read(view, key.window, alive, decoder)
        except LibraryError as error:
            yield TileReject(key, Reason.UNREADABLE_BLOCK, str(error))
            continue
        transform = view.grid.window_transform(key.window.row, key.window.col)
        # Tiles may share a block's memory, so they are all read-only.
        pixels.flags.writeable = valid.flags.writeable = False
        tile = Tile(key, pixels, valid, transform, view.grid.crs, lonlat)
        if min_valid_fraction and tile.valid_fraction < min_valid_fraction:
            found = f"{tile.valid_fraction:.3f} of it is valid, less than {min_valid_fraction:g}"
            yield TileReject(key, Reason.TOO_LITTLE_VALID, found)
        else:
            yield tile


def _assemble_or_read(
    view: View, window: Window, alive: dict[_Unit, "Future[_Block]"], decoder: _Decoder
) -> _Block:
    """Assembles a tile from decoded units; if one is broken, reads the tile's own blocks."""
    try:
        return _assemble(view, window, alive, decoder)
    except LibraryError:
        pixels, valid = _padding(view, window)
        inside = window.intersection(Window(0, 0, view.grid.height_px, view.grid.width_px))
        where = inside.relative_to(window).slices
        pixels[where], valid[where] = decoder.read(inside)
        return pixels, valid


def _assemble(
    view: View, window: Window, alive: dict[_Unit, "Future[_Block]"], decoder: _Decoder
) -> _Block:
    """Assembles a tile from its blocks: a view into one, or a copy from several."""
    inside = window.intersection(Window(0, 0, view.grid.height_px, view.grid.width_px))
    units = list(decoder.units.under(window))
    if len(units) == 1 and window == inside:
        where = window.relative_to(decoder.units.window(units[0])).slices
        block_pixels, block_valid = alive[units[0]].result()
        return block_pixels[where], block_valid[where]
    pixels, valid = _padding(view, window) if window != inside else _unfilled(view, window)
    for unit in units:
        there = decoder.units.window(unit)
        shared = there.intersection(window)
        block_pixels, block_valid = alive[unit].result()
        source, target = shared.relative_to(there).slices, shared.relative_to(window).slices
        pixels[target] = block_pixels[source]
        valid[target] = block_valid[source]
    return pixels, valid


def _unfilled(view: View, window: Window) -> _Block:
    """Allocates a window whose every pixel will be written."""
    shape = (window.height, window.width)
    return np.empty((*shape, len(view.bands)), view.dtype), np.empty(shape, np.bool_)


def _padding(view: View, window: Window) -> _Block:
    """Returns a window of padding: each band's nodata value, or 0, and no valid pixel."""
    pixels, valid = _unfilled(view, window)
    numbers = [stored_nodata(band.nodata, view.read_dtype) for band in view.bands]
    stored = np.array([[[0 if it is None else it for it in numbers]]], view.read_dtype)
    fill = view.values_of(stored)[0, 0]
    # Writing one value for all bands is ten times as fast as one for each.
    pixels[...] = fill[0] if (fill == fill[0]).all() else fill
    valid[...] = False
    return pixels, valid


def _centres(view: View, keys: list[TileKey]) -> list[tuple[float, float]]:
    """Returns longitude and latitude of the tiles' centres, projected in one call."""
    rows = np.array([key.window.row + key.window.height / 2 for key in keys])
    cols = np.array([key.window.col + key.window.width / 2 for key in keys])
    lons, lats = view.grid.to_lonlat(rows, cols)
    return list(zip(lons.tolist(), lats.tolist(), strict=True))
