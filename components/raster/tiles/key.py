"""Windows of pixels, and the key that identifies a tile."""

import re
from dataclasses import dataclass
from typing import Self

_KEY = re.compile(r"^(?P<scene>.+)@(?P<row>-?\d+),(?P<col>-?\d+),(?P<height>\d+)x(?P<width>\d+)$")


@dataclass(frozen=True, order=True)
class Window:
    """A rectangle of pixels: rows row to row + height - 1. It may extend beyond its raster.

    >>> window = Window(row=0, col=32, height=64, width=64)
    >>> window.intersection(Window(row=32, col=0, height=64, width=64))
    Window(row=32, col=32, height=32, width=32)
    """

    row: int
    col: int
    height: int
    width: int

    def __post_init__(self) -> None:
        if self.height < 0 or self.width < 0:
            raise ValueError(f"a window cannot be {self.height} x {self.width} pixels")

    @property
    def bottom(self) -> int:
        """First row below the window."""
        return self.row + self.height

    @property
    def right(self) -> int:
        """First column to the right of the window."""
        return self.col + self.width

    @property
    def area_px(self) -> int:
        """Number of pixels."""
        return self.height * self.width

    @property
    def slices(self) -> tuple[slice, slice]:
        """Slices (rows, columns) to index an array of the window's raster."""
        return slice(self.row, self.bottom), slice(self.col, self.right)

    def intersection(self, other: Self) -> "Window":
        """Returns the pixels that both windows share; zero height or width if there are none."""
        row, col = max(self.row, other.row), max(self.col, other.col)
        bottom, right = min(self.bottom, other.bottom), min(self.right, other.right)
        return Window(row, col, max(bottom - row, 0), max(right - col, 0))

    def relative_to(self, other: Self) -> "Window":
        """Returns the same pixels, counted from another window's upper left corner."""
        return Window(self.row - other.row, self.col - other.col, self.height, self.width)


@dataclass(frozen=True, order=True)
class TileKey:
    """Permanent identity of a tile: its scene and its window in the scene's grid (or its view's).

    The grid is upright: row 0 is the northernmost, however the file is stored.

    As text it is `scene@row,col,heightxwidth`, for `image/key`.

    >>> print(TileKey("T32UQD", Window(row=256, col=0, height=128, width=128)))
    T32UQD@256,0,128x128
    >>> TileKey.parse("T32UQD@256,0,128x128").window.bottom
    384
    """

    scene_id: str
    window: Window

    def __str__(self) -> str:
        place = self.window
        return f"{self.scene_id}@{place.row},{place.col},{place.height}x{place.width}"

    @classmethod
    def parse(cls, text: str) -> "TileKey":
        """Parses the text that `str` wrote. Raises ValueError for any other text."""
        match = _KEY.match(text)
        if not match:
            raise ValueError(f"{text!r} is not a tile key (scene@row,col,heightxwidth)")
        numbers = (int(match[name]) for name in ("row", "col", "height", "width"))
        return cls(match["scene"], Window(*numbers))
