"""Layout of a scene's tiles, from only its size."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Self

import shapely
from pydantic import Field, model_validator

from components.raster.frozen import Frozen
from components.raster.reasons import Reason
from components.raster.scene.grid import Grid
from components.raster.scene.rejects import SceneRejected
from components.raster.tiles.key import TileKey, Window

Edge = Literal["pad", "snap", "drop"]
AreaRule = Literal["intersects", "centre", "within"]
Overlap = Literal["all", "train"]


class Tiling(Frozen):
    """Size and spacing of tiles, and their treatment at a scene's edge."""

    size_px: int = Field(default=64, ge=1, le=16384, description="rows and columns of a tile")
    stride_px: int | None = Field(
        default=None, ge=1, description="pixels from tile to tile; default: the size (no overlap)"
    )
    overlap: Overlap = Field(
        default="all",
        description="Which splits have overlapping tiles. train: in other splits only tiles at "
        "multiples of the size are kept, so that no ground is measured twice.",
    )
    edge: Edge = Field(
        default="pad",
        description="Treatment of the last tile of a row or column if it extends over the "
        "scene's edge. pad: filled with nodata; snap: moved inwards, so it overlaps"
        " more; drop: left out.",
    )
    area_rule: AreaRule = Field(
        default="intersects",
        description="Which tiles belong to an area of interest: those that intersect it, those "
        "whose centre is in it, or those wholly in it.",
    )
    min_valid_fraction: float = Field(
        default=0.0, ge=0, le=1, description="tiles with fewer valid pixels are rejected"
    )

    @model_validator(mode="after")
    def _meets_its_size(self) -> Self:
        if self.overlap == "train" and self.size_px % self.step_px:
            raise ValueError(
                f"overlap: train needs a size_px ({self.size_px}) that is a multiple of stride_px "
                f"({self.step_px}): tiles of the other splits lie side by side"
            )
        return self

    @property
    def step_px(self) -> int:
        """Effective stride."""
        return self.stride_px or self.size_px

    @property
    def overlaps(self) -> bool:
        """True if neighbouring tiles of a scene share pixels."""
        return self.step_px < self.size_px or self.edge == "snap"

    def is_disjoint(self, window: Window) -> bool:
        """Checks whether a tile is one of the disjoint tiles counted from the scene's corner."""
        return window.row % self.size_px == 0 and window.col % self.size_px == 0


@dataclass(frozen=True)
class TilePlan:
    """The tiles of one scene: a lattice, and optionally an area that restricts it.

    Tiles are made on demand; a plan of a million tiles is as small as one of ten.

    Attributes:
        rows: first row of each row of tiles, rising.
        cols: first column of each column of tiles.
        area: WKB of the area of interest in pixel coordinates (x = column, y = row), or None.
    """

    scene_id: str
    height_px: int
    width_px: int
    size_px: int
    rows: tuple[int, ...]
    cols: tuple[int, ...]
    area: bytes | None = None
    area_rule: AreaRule = "intersects"

    @property
    def lattice_count(self) -> int:
        """Number of tiles of the whole lattice, without the restriction to the area."""
        return len(self.rows) * len(self.cols)

    @property
    def extent(self) -> Window:
        """Window of the scene's pixels."""
        return Window(0, 0, self.height_px, self.width_px)

    def window(self, row_number: int, col_number: int) -> Window:
        """Returns the window of the lattice's tile in a row and column of tiles."""
        return Window(self.rows[row_number], self.cols[col_number], self.size_px, self.size_px)

    def keys(self) -> Iterator[TileKey]:
        """Yields all tiles of the plan, by rows."""
        for row_number in range(len(self.rows)):
            yield from self.keys_in_row(row_number, range(len(self.cols)))

    def keys_in_row(self, row_number: int, col_numbers: range) -> Iterator[TileKey]:
        """Yields the tiles of one row of the lattice that belong to the plan."""
        windows = [self.window(row_number, number) for number in col_numbers]
        for window, kept in zip(windows, self._in_area(windows), strict=True):
            if kept:
                yield TileKey(self.scene_id, window)

    def _in_area(self, windows: list[Window]) -> list[bool]:
        if self.area is None:
            return [True] * len(windows)
        area = shapely.from_wkb(self.area)
        shapely.prepare(area)
        if self.area_rule == "centre":
            xs = [(window.col + window.right) / 2 for window in windows]
            ys = [(window.row + window.bottom) / 2 for window in windows]
            return [bool(found) for found in shapely.contains_xy(area, xs, ys)]
        boxes = [shapely.box(w.col, w.row, w.right, w.bottom) for w in windows]
        if self.area_rule == "within":
            return [bool(found) for found in shapely.covers(area, boxes)]
        shared = shapely.intersects(area, boxes) & ~shapely.touches(area, boxes)
        return [bool(found) for found in shared]


def starts(length_px: int, size_px: int, stride_px: int, edge: Edge) -> tuple[int, ...]:
    """Returns the starts of tiles along one axis of a raster.

    Multiples of the stride, up to the first tile that reaches the end; the edge policy then pads,
    moves or drops a tile that extends beyond it. With `pad` and `snap` every pixel is in a tile
    unless the stride is larger than the size, which leaves gaps.

    >>> starts(100, 32, 32, "pad")
    (0, 32, 64, 96)
    >>> starts(100, 32, 32, "snap")
    (0, 32, 64, 68)
    >>> starts(100, 32, 32, "drop")
    (0, 32, 64)
    """
    last = max(length_px - size_px, 0)
    count = min(-(-last // stride_px) + 1, -(-length_px // stride_px))
    regular = [number * stride_px for number in range(count)]
    if edge == "pad":
        return tuple(regular)
    if size_px > length_px:
        return ()
    if edge == "drop":
        return tuple(start for start in regular if start <= last)
    return tuple(dict.fromkeys(min(start, last) for start in regular))


def _lattice(length_px: int, tiling: Tiling) -> tuple[int, ...]:
    """Returns the starts of tiles along one axis, including those of the disjoint tiles.

    The last disjoint one may begin after a tile at the finer stride has reached the end.
    """
    if not length_px:
        return ()
    found = starts(length_px, tiling.size_px, tiling.step_px, tiling.edge)
    if tiling.overlap == "all":
        return found
    apart = starts(length_px, tiling.size_px, tiling.size_px, tiling.edge)
    return tuple(sorted({*found, *apart}))


def plan_tiles(
    scene_id: str,
    grid: Grid,
    tiling: Tiling,
    *,
    area: shapely.Geometry | None = None,
    within: Window | None = None,
) -> TilePlan:
    """Plans the tiles of a scene from its grid; no pixel is read.

    Args:
        scene_id: goes into every key.
        grid: of the scene or of its warped view.
        tiling: sizes and policies.
        area: keeps the tiles in it, in pixel coordinates of the grid (see `areas.area_in_pixels`).
        within: window whose corner and edges bound the lattice instead of the scene's. The edge
            policy then applies to the window; tiles show pixels beyond it.

    Raises:
        SceneRejected: the scene has no tile under this tiling.

    >>> from affine import Affine
    >>> grid = Grid(height_px=100, width_px=64, transform=Affine.identity(), crs=None)
    >>> plan = plan_tiles("north", grid, Tiling(size_px=64, edge="snap"))
    >>> [str(key) for key in plan.keys()]
    ['north@0,0,64x64', 'north@36,0,64x64']
    """
    extent = Window(0, 0, grid.height_px, grid.width_px)
    inside = extent if within is None else within.intersection(extent)
    size = tiling.size_px
    rows, cols = _lattice(inside.height, tiling), _lattice(inside.width, tiling)
    if not rows or not cols:
        raise SceneRejected(
            scene_id,
            Reason.SMALLER_THAN_TILE,
            f"{inside.height} x {inside.width} pixels hold no tile of {size} x {size}. "
            "Choose edge: pad, or smaller tiles.",
        )
    return TilePlan(
        scene_id=scene_id,
        height_px=grid.height_px,
        width_px=grid.width_px,
        size_px=size,
        rows=tuple(inside.row + start for start in rows),
        cols=tuple(inside.col + start for start in cols),
        area=None if area is None else shapely.to_wkb(area),
        area_rule=tiling.area_rule,
    )
