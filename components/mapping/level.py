"""One resolution of a growing raster, whose blocks are compressed while more pixels arrive."""

import os
from collections.abc import Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from components.mapping import blocks
from components.mapping.blocks import BlockCoding, Pixels
from components.raster.library_errors import translated
from components.raster.tiles.key import Window

#: (C, H, W) of a raster.
Shape = tuple[int, int, int]


class PixelSink(Protocol):
    """Receives the pixels of a raster, column after column, each from top to bottom."""

    def write(self, window: Window, pixels: Pixels) -> None:
        """Takes pixels (C, H, W) of a window."""


class RasterLevel:
    """Blocks of a raster at one resolution, appended to a file in the order of their arrival.

    Pixels wait until a row of blocks is complete. Threads then compress and halve it while the next
    row fills, so memory is that of two rows. Columns begin and end with a block.

    Attributes:
        shape: of the raster.
        path: of the blocks.
        index: (rows, columns, 2) of blocks: offset in the file and bytes, with leader and trailer.
    """

    def __init__(
        self,
        path: Path,
        shape: Shape,
        dtype: str,
        coding: BlockCoding,
        pool: Executor,
        halves: PixelSink | None,
    ) -> None:
        """Prepares the level; `create` or `load` starts it.

        Args:
            path: of the blocks.
            shape: of the raster.
            dtype: of its samples.
            coding: of its blocks.
            pool: threads that compress.
            halves: receives the pixels of the next overview, if there is one.
        """
        self.path, self.shape, self._dtype = path, shape, np.dtype(dtype)
        self._coding, self._pool, self._halves = coding, pool, halves
        rows, cols = (-(-side // blocks.BLOCK_PX) for side in shape[1:])
        self.index: npt.NDArray[np.int64] = np.zeros((rows, cols, 2), np.int64)
        #: The incomplete row of blocks, and its number of rows of pixels.
        self._rows: Pixels = np.empty((0, 0, 0), self._dtype)
        self._known = 0
        self._compressed: tuple[Window, list[Future[tuple[bytes, Pixels]]]] | None = None

    @property
    def written_bytes(self) -> int:
        """Length of the file."""
        return int(self.index[..., 1].sum())

    def create(self) -> None:
        """Starts without pixels."""
        with writing(self.path):
            self.path.write_bytes(b"")

    def write(self, window: Window, pixels: Pixels) -> None:
        """Adds the pixels (C, H, W) of the next window of a column."""
        done = 0
        while done < window.height:
            top = window.row + done - self._known
            if not self._known:
                height = min(blocks.BLOCK_PX, self.shape[1] - top)
                self._rows = np.empty((self.shape[0], height, window.width), self._dtype)
            free = self._rows[:, self._known :]
            taken = min(free.shape[1], window.height - done)
            free[:, :taken] = pixels[:, done : done + taken]
            done, self._known = done + taken, self._known + taken
            if self._known == self._rows.shape[1]:
                self._compress(Window(top, window.col, self._known, window.width))
                self._known = 0

    def _compress(self, window: Window) -> None:
        self.flush()
        starts = range(0, window.width, blocks.BLOCK_PX)
        parts = [self._rows[:, :, start : start + blocks.BLOCK_PX] for start in starts]
        self._compressed = (window, [self._pool.submit(self._encoded, part) for part in parts])

    def _encoded(self, pixels: Pixels) -> tuple[bytes, Pixels]:
        half = pixels if self._halves is None else self._coding.half_of(pixels)
        return self._coding.encoded(pixels), half

    def flush(self) -> None:
        """Waits for the blocks being compressed, and writes them."""
        if self._compressed is None:
            return
        window, futures = self._compressed
        self._compressed = None
        encoded, halves = zip(*(future.result() for future in futures), strict=True)
        with writing(self.path), self.path.open("ab") as file:
            begin = file.tell()
            file.writelines(encoded)
        row, col = window.row // blocks.BLOCK_PX, window.col // blocks.BLOCK_PX
        sizes = np.array([len(it) for it in encoded])
        self.index[row, col : col + len(sizes), 0] = begin + np.cumsum(sizes) - sizes
        self.index[row, col : col + len(sizes), 1] = sizes
        if self._halves is not None:
            half = np.concatenate(halves, axis=2)
            self._halves.write(Window(window.row // 2, window.col // 2, *half.shape[1:]), half)

    def save(self, path: Path) -> None:
        """Writes the incomplete row, and waits until the blocks are on disk."""
        self.flush()
        sync(self.path)
        with writing(path):
            rows, height = self._rows[:, : self._known], self._rows.shape[1]
            np.savez(path, allow_pickle=False, index=self.index, rows=rows, height=height)

    def load(self, path: Path) -> None:
        """Restores the state at `save`; drops blocks that were written after it."""
        with np.load(path) as found:
            self.index[:], rows, height = found["index"], found["rows"], int(found["height"])
        with writing(self.path):
            os.truncate(self.path, self.written_bytes)
        self._known = rows.shape[1]
        self._rows = np.empty((rows.shape[0], height, rows.shape[2]), self._dtype)
        self._rows[:, : self._known] = rows


class PixelFile:
    """Uncompressed pixels, each at a fixed position, so that columns may arrive one by one."""

    def __init__(self, path: Path, shape: Shape, dtype: str) -> None:
        """Prepares the file; `create` writes it."""
        self.path, self.shape, self._dtype = path, shape, np.dtype(dtype)

    def create(self) -> None:
        """Starts without pixels."""
        with writing(self.path):
            self.path.write_bytes(b"")

    def write(self, window: Window, pixels: Pixels) -> None:
        """Writes pixels (C, H, W) of a window."""
        _, height, width = self.shape
        with writing(self.path), self.path.open("r+b") as file:
            for band, plane in enumerate(pixels):
                lines = plane[np.newaxis] if window.width == width else plane
                for row, line in enumerate(lines, band * height + window.row):
                    file.seek((row * width + window.col) * self._dtype.itemsize)
                    file.write(line.tobytes())

    def rows(self) -> Iterator[tuple[Window, Pixels]]:
        """Yields all pixels, a row of blocks at a time."""
        count, height, width = self.shape
        with self.path.open("rb") as file:
            for top in range(0, height, blocks.BLOCK_PX):
                window = Window(top, 0, min(blocks.BLOCK_PX, height - top), width)
                planes = []
                for band in range(count):
                    file.seek((band * height + top) * width * self._dtype.itemsize)
                    planes.append(np.fromfile(file, self._dtype, window.area_px))
                yield window, np.stack(planes).reshape(count, window.height, width)


def sync(path: Path) -> None:
    """Waits until the disk has a file."""
    with writing(path), path.open("rb") as file:
        os.fsync(file.fileno())


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
            raise OSError(error.errno, error.strerror, str(path)) from None
