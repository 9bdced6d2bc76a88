"""Assembly of a Cloud Optimized GeoTIFF from compressed blocks.

The layout is that of GDAL's driver COG (its documentation, "File format details"): all directories
first, that of the full resolution before those of overviews; then the blocks, those of the smallest
overview first, row by row within each resolution. So a reader's first request has all it needs to
find a block.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from components.mapping import blocks
from components.mapping.level import RasterLevel
from components.mapping.tiff_directory import (
    IMAGE_LENGTH,
    IMAGE_WIDTH,
    LONG,
    LONG8,
    SHORT,
    TILE_BYTE_COUNTS,
    TILE_LENGTH,
    TILE_OFFSETS,
    TILE_WIDTH,
    Directory,
    TagValues,
    integers,
    read_directories,
    written,
)

#: Size above which offsets need eight bytes.
_CLASSIC_BYTES = 2**32 - 1
_SHORTS = 2**16


def write_cog(target: Path, small: bytes, levels: Sequence[RasterLevel]) -> None:
    """Writes a COG.

    Args:
        target: the file.
        small: a COG of any size with an overview, for tags that do not depend on the size.
        levels: from the largest resolution to the smallest.
    """
    (whole, overview), layout = read_directories(small)
    kinds = [whole, *[overview] * (len(levels) - 1)]
    blocks_bytes = sum(level.written_bytes for level in levels)

    def header(blocks_at: int, *, big: bool) -> bytes:
        """Returns the bytes before the blocks."""
        directories, at = [], blocks_at + blocks_bytes
        for kind, level in zip(kinds, levels, strict=True):
            at -= level.written_bytes
            directories.append(_directory(kind, level, at, big=big))
        return written(directories, layout, big=big)

    big = len(header(0, big=True)) + blocks_bytes > _CLASSIC_BYTES
    blocks_at = len(header(0, big=big))
    with target.open("wb") as file:
        file.write(header(blocks_at, big=big))
        for level in reversed(levels):
            _copy(level, file)


def _directory(kind: Directory, level: RasterLevel, blocks_at: int, *, big: bool) -> Directory:
    """Returns the tags of a resolution whose blocks begin at an offset in the file."""
    _, height, width = level.shape
    stored = level.index[..., 1].ravel()
    offsets = blocks_at + np.cumsum(stored) - stored + blocks.LEADER_BYTES
    sizes = stored - blocks.LEADER_BYTES - blocks.TRAILER_BYTES
    return {
        **kind,
        IMAGE_WIDTH: _side(width),
        IMAGE_LENGTH: _side(height),
        TILE_WIDTH: _side(blocks.BLOCK_PX),
        TILE_LENGTH: _side(blocks.BLOCK_PX),
        TILE_OFFSETS: integers(LONG8 if big else LONG, *offsets.tolist()),
        TILE_BYTE_COUNTS: integers(LONG, *sizes.tolist()),
    }


def _side(side_px: int) -> TagValues:
    return integers(SHORT if side_px < _SHORTS else LONG, side_px)


def _copy(level: RasterLevel, target: BinaryIO) -> None:
    """Copies the blocks of a resolution, row by row; a row has as many parts as there are columns.

    Consecutive blocks are copied together.
    """
    with level.path.open("rb") as source:
        for row in level.index:
            ends = row[:-1].sum(axis=1)
            for part in np.split(row, np.flatnonzero(ends != row[1:, 0]) + 1):
                source.seek(int(part[0, 0]))
                target.write(source.read(int(part[:, 1].sum())))
