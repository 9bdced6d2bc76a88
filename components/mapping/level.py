"""One resolution of a raster that grows: its compressed blocks, and their halves for the next."""

import os
from collections.abc import Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt

from components.mapping import blocks
from components.mapping.blocks import BlockCoding, Pixels
from components.raster.library_errors import translated
from components.raster.tiles.key import Window


class RasterLevel:
    """Blocks of a raster at one resolution.

    They are appended to one file in the order in which they come. Their halves have fixed places in
    another file, without compression, so that those of neighbours can be joined whenever they come.

    Attributes:
        shape: (C, H, W) of the raster.
        path: of the blocks.
        index: (rows, columns, 2) of blocks: offset in the file and bytes, with leader and trailer.
    """

    def __init__(
        self, path: Path, shape: tuple[int, int, int], dtype: str, coding: BlockCoding
    ) -> None:
        """Describes it; `create` writes the files."""
        self.path, self.shape, self._dtype, self._coding = path, shape, np.dtype(dtype), coding
        rows, cols = (-(-side // blocks.BLOCK_PX) for side in shape[1:])
        self.index: npt.NDArray[np.int64] = np.zeros((rows, cols, 2), np.int64)
        self._waiting: tuple[Window, list[Future[tuple[bytes, bytes]]]] | None = None

    @property
    def is_halved(self) -> bool:
        """True if there is a next overview: the level is larger than a block."""
        return max(self.shape[1:]) > blocks.BLOCK_PX

    @property
    def written_bytes(self) -> int:
        """The length of the file of blocks."""
        return int(self.index[..., 1].sum())

    @property
    def _halves(self) -> Path:
        return self.path.with_suffix(".halves")

    def create(self) -> None:
        """Begins with no block."""
        self.index[:] = 0
        for path in (self.path, self._halves):
            with writing(path):
                path.write_bytes(b"")

    def add(self, window: Window, pixels: Pixels, pool: Executor) -> None:
        """Hands over whole blocks (C, H, W) beside each other, which begin at the window.

        They are compressed in the pool meanwhile; the blocks before them are written first.
        """
        self.flush()
        starts = range(0, window.width, blocks.BLOCK_PX)
        parts = (pixels[:, :, start : start + blocks.BLOCK_PX] for start in starts)
        self._waiting = (window, [pool.submit(self._encoded, part) for part in parts])

    def _encoded(self, pixels: Pixels) -> tuple[bytes, bytes]:
        half = self._coding.halved(pixels).tobytes() if self.is_halved else b""
        return self._coding.encoded(pixels), half

    def flush(self) -> None:
        """Waits for the blocks that were added, and writes them."""
        if self._waiting is None:
            return
        window, futures = self._waiting
        row, col = window.row // blocks.BLOCK_PX, window.col // blocks.BLOCK_PX
        encoded, halves = zip(*(future.result() for future in futures), strict=True)
        self._waiting = None
        with writing(self.path), self.path.open("ab") as file:
            begin = file.tell()
            file.write(b"".join(encoded))
        sizes = np.array([len(it) for it in encoded])
        here = self.index[row, col : col + len(encoded)]
        here[:, 0], here[:, 1] = begin + np.cumsum(sizes) - sizes, sizes
        with writing(self._halves), self._halves.open("r+b") as file:
            file.seek((row * self.index.shape[1] + col) * len(halves[0]))
            file.write(b"".join(halves))

    def sync(self) -> None:
        """Waits until the disk has what was added."""
        self.flush()
        for path in (self.path, self._halves):
            with writing(path), path.open("rb") as file:
                os.fsync(file.fileno())

    def restore(self, index: npt.NDArray[np.int64]) -> None:
        """Goes back to the blocks of an earlier index, which the files still hold."""
        self.index[:] = index
        with writing(self.path):
            os.truncate(self.path, self.written_bytes)

    def next(self) -> "RasterLevel":
        """Returns the next overview, without blocks."""
        count, height, width = self.shape
        shape = count, -(-height // 2), -(-width // 2)
        path = self.path.with_name(f"{self.path.stem}.half.blocks")
        return RasterLevel(path, shape, self._dtype.name, self._coding)

    def halved_rows(self) -> Iterator[tuple[Window, Pixels]]:
        """Yields rows of whole blocks of the next overview, from top to bottom."""
        count, height, width = self.next().shape
        across, side = self.index.shape[1], blocks.BLOCK_PX // 2
        row_samples = across * count * side**2
        with self._halves.open("rb") as file:
            for top in range(0, height, blocks.BLOCK_PX):
                found = np.fromfile(file, self._dtype, 2 * row_samples)
                parts = found.reshape(-1, across, count, side, side).transpose(2, 0, 3, 1, 4)
                pixels = parts.reshape(count, -1, across * side)
                window = Window(top, 0, min(blocks.BLOCK_PX, height - top), width)
                yield window, pixels[:, : window.height, :width]


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Names a file in the error of writing it.

    Raises:
        DiskFull: there is no room left for it.
        LibraryError: it cannot be written for another reason.
    """
    with translated():
        try:
            yield
        except OSError as error:  # that of `write` names no file
            error.filename = error.filename or str(path)
            raise
