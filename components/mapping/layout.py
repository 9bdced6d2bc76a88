"""Division of a scene's map: columns that fit into memory, and bands of rows finished in turn."""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

from components.mapping import blocks
from components.mapping.weights import tile_starts
from components.raster.tiles.parts import PlanPart
from components.raster.tiles.reading import unit_shape
from components.raster.tiles.tiling import Edge, TilePlan
from components.raster.tiles.view import View

#: Rows of blocks in memory, in rows of the full resolution: two that gather pixels or are
#: compressed, and two of half the width for the first overview.
_ROWS_OF_BLOCKS = 3


@dataclass(frozen=True)
class RowBand:
    """Rows of tiles that begin in the same row of the reader's blocks, and are read together.

    Attributes:
        tiles: numbers of the rows of tiles.
        top: first row of pixels that these tiles may change.
        end: the row up to which no later tile changes a pixel.
    """

    tiles: range
    top: int
    end: int


@dataclass(frozen=True)
class Columns:
    """A part of a map, over its whole height.

    Attributes:
        tiles: numbers of the columns of tiles that overlap it.
        own: those that begin in it.
        left: first column of pixels of the part.
        right: first column beyond it.
    """

    tiles: range
    own: range
    left: int
    right: int


@dataclass(frozen=True)
class Layout:
    """Tiles of a scene's map and the order in which they are predicted.

    Attributes:
        plan: of all tiles.
        bands: from top to bottom, the same in all columns.
        columns: from left to right.
    """

    plan: TilePlan
    bands: tuple[RowBand, ...]
    columns: tuple[Columns, ...]

    @property
    def band_rows(self) -> int:
        """Rows of pixels that the tallest band covers."""
        size, tops = self.plan.size_px, self.plan.rows
        return max(tops[band.tiles[-1]] + size - band.top for band in self.bands)

    def parts(self, columns: Columns, first_band: int) -> PlanPart:
        """Returns the tiles of some columns from a band on."""
        rows = range(self.bands[first_band].tiles.start, len(self.plan.rows))
        return PlanPart(self.plan, rows, columns.tiles)


def lay_out(
    view: View,
    size_px: int,
    stride_px: int,
    *,
    pixel_bytes: int,
    overlap_bytes: int = 0,
    memory_bytes: int,
    edge: Edge = "snap",
) -> Layout:
    """Lays out the tiles of a scene's map.

    Args:
        view: the scene.
        size_px: rows and columns of a tile.
        stride_px: from tile to tile.
        pixel_bytes: memory of an unwritten pixel of the map.
        overlap_bytes: further memory of such a pixel where rows of tiles overlap.
        memory_bytes: approximate limit for unfinished pixels and decoded blocks together. Wider
            scenes are divided into columns, and tiles on their borders are predicted twice.
        edge: what the last tile of a row or column does at the scene's edge.
    """
    grid = view.grid
    plan = TilePlan(
        scene_id=view.scene.scene_id,
        height_px=grid.height_px,
        width_px=grid.width_px,
        size_px=size_px,
        rows=tile_starts(grid.height_px, size_px, stride_px, edge),
        cols=tile_starts(grid.width_px, size_px, stride_px, edge),
    )
    unit_rows, unit_cols = unit_shape(view)
    bands = tuple(_bands(plan, unit_rows, view.block_shift[0]))
    height = Layout(plan, bands, ()).band_rows
    read_rows = min((-(-(size_px + unit_rows) // unit_rows)) * unit_rows, grid.height_px)
    overlap_rows = max(size_px - stride_px, 0)
    kept_rows = height + _ROWS_OF_BLOCKS * blocks.BLOCK_PX
    column_bytes = (
        kept_rows * pixel_bytes + overlap_rows * overlap_bytes + read_rows * view.pixel_bytes
    )
    width = max(memory_bytes // column_bytes, unit_cols, 2 * size_px)
    return Layout(plan, bands, tuple(_columns(plan, width)))


def _bands(plan: TilePlan, unit_rows: int, shift: int) -> Iterator[RowBand]:
    first = 0
    for number in range(1, len(plan.rows) + 1):
        last = number == len(plan.rows)
        if (
            last
            or (plan.rows[number] + shift) // unit_rows != (plan.rows[first] + shift) // unit_rows
        ):
            end = plan.height_px if last else plan.rows[number]
            yield RowBand(range(first, number), plan.rows[first], end)
            first = number


def _columns(plan: TilePlan, width_px: int) -> Iterator[Columns]:
    """Yields columns that end where blocks do and whose tiles cover at most `width_px` pixels."""
    left, step = 0, blocks.column_step_px()
    while left < plan.width_px:
        first = next(n for n, start in enumerate(plan.cols) if start + plan.size_px > left)
        right = plan.width_px
        if right - plan.cols[first] > width_px:
            # The last tile begins before the column ends.
            most = plan.cols[first] + width_px - plan.size_px
            right = min(max(most - most % step, left + step), plan.width_px)
        own, end = bisect_left(plan.cols, left), bisect_left(plan.cols, right)
        yield Columns(range(first, end), range(own, end), left, right)
        left = right
