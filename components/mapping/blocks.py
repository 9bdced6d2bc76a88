"""Blocks of a raster: halved for overviews, and compressed for a Cloud Optimized GeoTIFF.

The format of a block is that of tiles in TIFF 6.0, with the predictor of its section 14; DEFLATE is
that of Adobe Photoshop TIFF Technical Notes 2 (compression 8). The size before a block and a copy
of its last bytes after it are those of GDAL's driver COG (`BLOCK_LEADER` and `BLOCK_TRAILER` in its
documentation), so a remote reader needs one request for a block and can tell whether it is whole.
"""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from components.mapping.config import Compression
from components.raster.opencv import opencv

#: Rows and columns of a block.
BLOCK_PX = 512
#: Levels whose rows of blocks are completed within each column of a map.
GROWING_LEVELS = 2
#: Bytes before a block's data.
LEADER_BYTES = 4
#: Bytes after it.
TRAILER_BYTES = 4
#: Higher levels of DEFLATE take two to four times as long to save a few percent on noisy areas.
LEVEL = 1
#: Bytes that DEFLATE compresses apart from the others; see `_deflated`.
_FIRST_BYTES = 16

Pixels: TypeAlias = npt.NDArray[Any]
Resampling = Literal["nearest", "mean"]


@dataclass(frozen=True)
class BlockCoding:
    """Encoding of blocks.

    Attributes:
        compression: of their bytes.
        nodata: fills blocks at a raster's lower and right edges.
        resampling: of their halves. Pixels resampled to a mean vary smoothly, and are stored as
            differences of neighbours. Others, such as classes, have long runs, for which
            differences would only cost time.
    """

    compression: Compression
    nodata: float
    resampling: Resampling

    def encoded(self, pixels: Pixels) -> bytes:
        """Returns the stored bytes of pixels (C, H, W), with leader and trailer."""
        samples = np.moveaxis(_whole(pixels, self.nodata), 0, -1)
        samples = _differences(samples) if self.resampling == "mean" else samples
        data = _COMPRESS[self.compression](np.ascontiguousarray(samples))
        return struct.pack("<I", len(data)) + data + data[-TRAILER_BYTES:]

    def half_of(self, pixels: Pixels) -> Pixels:
        """Returns the half of pixels (C, H, W) for the next overview."""
        return half_of(pixels, self.nodata, self.resampling)


def _whole(pixels: Pixels, nodata: float) -> Pixels:
    """Fills the given pixels up to a whole block, with nodata on the right and below."""
    count, height, width = pixels.shape
    if height == width == BLOCK_PX:
        return pixels
    block = np.full((count, BLOCK_PX, BLOCK_PX), nodata, pixels.dtype)
    block[:, :height, :width] = pixels
    return block


def column_step_px() -> int:
    """Returns the step of the borders of a map's columns, in pixels."""
    return BLOCK_PX << (GROWING_LEVELS - 1)


def half_of(pixels: Pixels, nodata: float, resampling: Resampling) -> Pixels:
    """Returns every second pixel of (C, H, W), or the mean of four, rounded to the nearest.

    A mean ignores nodata, unless all four are nodata.
    """
    if resampling == "nearest":
        return pixels[:, ::2, ::2]
    odd = [(0, 0), *((0, side % 2) for side in pixels.shape[1:])]
    even = np.pad(pixels, odd, mode="edge") if any(right for _, right in odd) else pixels
    known = even != nodata
    if known.all():
        height, width = even.shape[1] // 2, even.shape[2] // 2
        area = opencv().INTER_AREA
        return np.stack([opencv().resize(it, (width, height), interpolation=area) for it in even])
    numbers = np.where(known, even, 0).astype(np.uint16)
    total, count = _sums_of_four(numbers), _sums_of_four(known.astype(np.uint16))
    mean = (2 * total + count) // np.maximum(2 * count, 1)
    return np.where(count > 0, mean, nodata).astype(pixels.dtype)


def _sums_of_four(numbers: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint16]:
    rows = numbers[:, ::2] + numbers[:, 1::2]
    return np.asarray(rows[..., ::2] + rows[..., 1::2], np.uint16)


def _differences(samples: Pixels) -> Pixels:
    """Returns each integer sample (H, W, C) minus the one on its left."""
    found = np.empty_like(samples)
    found[:, 0] = samples[:, 0]
    np.subtract(samples[:, 1:], samples[:, :-1], out=found[:, 1:])
    return found


def _deflated(samples: Pixels) -> bytes:
    """Compresses samples, always to the same bytes.

    ISA-L alone does not: at the start of a stream its assembly for levels 1 and 2 (2.32,
    `igzip_icf_body_h1_gr_bt.asm`, `.write_first_byte`) hashes a register that still holds the
    address of the stream, where the third byte is meant. At a few addresses, some blocks are then
    compressed differently. Inputs of up to 16 bytes take another path, after which the stream has
    begun.
    """
    from isal import isal_zlib

    stream, data = isal_zlib.compressobj(LEVEL), samples.data.cast("B")
    first = stream.compress(data[:_FIRST_BYTES]) + stream.flush(isal_zlib.Z_SYNC_FLUSH)
    return b"".join((first, stream.compress(data[_FIRST_BYTES:]), stream.flush()))


def _zstd(samples: Pixels) -> bytes:
    import zstandard

    return zstandard.ZstdCompressor(level=LEVEL).compress(samples.data)


# The modules are imported with the first block, since only maps compress blocks.
_COMPRESS: Mapping[Compression, Callable[[Pixels], bytes]] = {"deflate": _deflated, "zstd": _zstd}
