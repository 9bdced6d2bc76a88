"""Parts of a plan for workers, made of whole blocks if possible."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from components.raster.tiles.key import TileKey
from components.raster.tiles.tiling import TilePlan


@dataclass(frozen=True)
class PlanPart:
    """A rectangle of a plan's lattice: half-open ranges of its rows and columns of tiles."""

    plan: TilePlan
    rows: range
    cols: range

    def keys(self) -> Iterator[TileKey]:
        """Yields the tiles of the part, by rows."""
        for row_number in self.rows:
            yield from self.plan.keys_in_row(row_number, self.cols)


def whole(plan: TilePlan) -> PlanPart:
    """Returns the plan in one part."""
    return PlanPart(plan, range(len(plan.rows)), range(len(plan.cols)))


def plan_parts(
    plan: TilePlan,
    count: int,
    block_shape: tuple[int, int],
    block_shift: tuple[int, int] = (0, 0),
) -> tuple[PlanPart, ...]:
    """Splits a plan into about `count` parts that decode as few blocks twice as possible.

    Parts end where tiles begin in a new row of blocks (or, if that gives too few, in a new column
    of blocks), so there are fewer than `count` if the scene has fewer blocks. Together the parts
    hold every tile once.

    Args:
        plan: of all tiles.
        count: approximate number of parts.
        block_shape: (rows, columns) of a block.
        block_shift: (rows, columns) of the first blocks that lie before the grid.

    >>> from affine import Affine
    >>> from components.raster.scene.grid import Grid
    >>> from components.raster.tiles.tiling import Tiling, plan_tiles
    >>> grid = Grid(height_px=256, width_px=64, transform=Affine.identity(), crs=None)
    >>> plan = plan_tiles("north", grid, Tiling(size_px=64))
    >>> [[str(key) for key in part.keys()] for part in plan_parts(plan, 2, (128, 128))]
    [['north@0,0,64x64', 'north@64,0,64x64'], ['north@128,0,64x64', 'north@192,0,64x64']]
    """
    if count < 1:
        raise ValueError(f"a plan cannot be split into {count} parts")
    rows = _ranges(plan.rows, block_shape[0], block_shift[0], count)
    cols = _ranges(plan.cols, block_shape[1], block_shift[1], -(-count // len(rows)))
    return tuple(PlanPart(plan, row_range, col_range) for row_range in rows for col_range in cols)


def _ranges(starts: Sequence[int], block_px: int, shift_px: int, count: int) -> list[range]:
    """Splits into at most `count` ranges of about equal length, at starts of new blocks."""
    blocks = [(start + shift_px) // block_px for start in starts]
    cuts = [number for number in range(1, len(starts)) if blocks[number] != blocks[number - 1]]
    wanted = [round(len(starts) * part / count) for part in range(1, count)]
    chosen = sorted({min(cuts, key=lambda cut: abs(cut - at)) for at in wanted} if cuts else set())
    edges = [0, *chosen, len(starts)]
    return [range(start, end) for start, end in pairwise(edges)]
