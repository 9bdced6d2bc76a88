"""Tile payload: the samples of all bands, lossless, and their description in one byte string.

A payload is a header, the names of the bands, a PNG image, and optionally scale and offset:

======  ======  =====================================================================
offset  bytes   content (integers are little-endian and unsigned)
======  ======  =====================================================================
0       4       ``SKYT``
4       1       version of this format: 1
5       1       sample type: the position in `SAMPLE_TYPES`
6       1       1 if there is a mask of valid pixels, else 0
7       1       1 if scale and offset were applied to the samples, else 0: as stored
8       4       height H in pixels
12      4       width W in pixels
16      4       number of bands C
20      4       length of the names
24      ...     the names of the bands, UTF-8, a newline between two of them
then    ...     the PNG
then    ...     of stored numbers, where known: a line for each band, UTF-8, that has
                its scale, a blank and its offset, in six digits
then    4       length of these lines
then    4       ``SKYN``
======  ======  =====================================================================

The PNG is gray with 8 bits and as wide as the tile. Its rows are planes of H rows: the lowest byte
of band 1's samples, of band 2's and so on, then the next byte of each band, to the highest; at the
end the mask, if there is one: 1 for a valid pixel, 0 for an invalid one. Neighbouring bytes are
then similar, and a PNG decoder never returns more than its header declares, whatever the bytes
hold: a bare zlib stream has no such bound. Each row is filtered by "Up" (PNG 3rd edition, 9.2),
which this module writes and requires. PNG decoders ignore bytes after the end, so models without
support for scales accept such a payload too. `serving.graph.decode_tiles` reads the same format in
a TensorFlow graph.
"""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from components.raster.errors import SkymillError
from components.raster.image import PNG_MAGIC, Refusal, Values
from components.raster.scaling import Scaling

PAYLOAD_MAGIC = b"SKYT"
VERSION = 1
HEADER_BYTES = 24
NAME_SEPARATOR = "\n"
#: Last bytes of a payload with scale and offset; no PNG ends with them.
SCALINGS_MAGIC = b"SKYN"
#: Supported sample types. 64-bit types are excluded: models compute in 32 bits.
SAMPLE_TYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float32")
#: The meaning of the samples, by the header's byte.
VALUES: tuple[Values, ...] = ("stored", "scaled")
#: The IHDR chunk after height and width: 8 bits, gray, deflate, filters 0 to 4, not interlaced.
PNG_FORM = bytes([8, 0, 0, 0, 0])
#: No decoder reads a PNG with more rows or columns (libpng's PNG_USER_HEIGHT_MAX).
MAX_SIDE_PX = 1_000_000
MAX_SAMPLES = 2**26

_HEADER = struct.Struct("<4sBBBBIIII")
_CHUNK = struct.Struct(">I4s")
_FILTER_UP = 2
_LEVEL = 1
_MEM_LEVEL = 9
_MOST_EXPANSION = 1032  # of deflate (zlib's technical details)


class PayloadError(SkymillError):
    """Bytes that are not a valid or permitted tile; the message begins with a `Refusal`."""

    def __init__(self, refusal: Refusal, detail: str) -> None:
        super().__init__(f"{refusal}: {detail}")
        self.refusal = refusal


@dataclass(frozen=True)
class PayloadHeader:
    """Payload metadata that needs no decoding of samples; lengths in pixels and bytes.

    Attributes:
        scalings: scale and offset of each band's stored numbers, in the form of `Scaling.terse`.
    """

    dtype: str
    height: int
    width: int
    bands: tuple[str, ...]
    has_mask: bool
    data_offset: int
    values: Values = "stored"
    scalings: tuple[str, ...] | None = None

    @property
    def rows(self) -> int:
        """Rows of the PNG."""
        planes = np.dtype(self.dtype).itemsize * len(self.bands) + self.has_mask
        return planes * self.height

    @property
    def samples(self) -> int:
        """Height times width times bands."""
        return self.height * self.width * len(self.bands)


@dataclass(frozen=True, eq=False)
class Payload:
    """A decoded tile: pixels (H, W, C) in their own type, valid mask (H, W), names of the bands,
    and whether samples are the file's numbers or values with scale and offset applied."""

    pixels: npt.NDArray[np.generic]
    valid: npt.NDArray[np.bool_]
    bands: tuple[str, ...]
    values: Values = "stored"


def encode_payload(
    pixels: npt.NDArray[np.generic],
    bands: Sequence[str],
    valid: npt.NDArray[np.bool_] | None = None,
    values: Values | None = None,
    scalings: Sequence[Scaling] | None = None,
) -> bytes:
    """Encodes pixels (H, W, C) as a payload; the same tile gives the same bytes.

    Args:
        pixels: of one of `SAMPLE_TYPES`; every bit pattern is preserved, NaN included.
        bands: C different names, none empty.
        valid: (H, W); None if every pixel is valid.
        values: `scaled` if scale and offset were applied.
        scalings: of the bands' stored numbers; None if they are unknown or irrelevant.

    Raises:
        PayloadError: another type of samples, or more rows than a PNG may have.
        ValueError: shapes and names do not fit together.

    >>> tile = np.arange(8, dtype=np.uint16).reshape(2, 2, 2)
    >>> payload = encode_payload(tile, ["red", "nir08"])
    >>> decode_payload(payload).bands
    ('red', 'nir08')
    >>> bool((decode_payload(payload).pixels == tile).all())
    True
    """
    if pixels.ndim != 3 or len(bands) != pixels.shape[2] or not pixels.size:
        raise ValueError(f"pixels of shape {pixels.shape} with the bands {tuple(bands)}")
    if scalings is not None and len(scalings) != len(bands):
        raise ValueError(f"{len(scalings)} scalings of the bands {tuple(bands)}")
    if valid is not None and (valid.shape != pixels.shape[:2] or valid.dtype != np.bool_):
        raise ValueError(f"a mask of {valid.dtype} {valid.shape} for pixels {pixels.shape}")
    if len(set(bands)) != len(bands) or any(not _is_name(band) for band in bands):
        raise ValueError(f"{tuple(bands)} are not different names of one line each")
    if pixels.dtype.name not in SAMPLE_TYPES:
        raise PayloadError(
            Refusal.UNSUPPORTED_FORMAT,
            f"samples of type {pixels.dtype}; convert them to one of {', '.join(SAMPLE_TYPES)}",
        )
    planes = _planes(pixels, valid)
    if max(planes.shape) > MAX_SIDE_PX:
        raise PayloadError(
            Refusal.TOO_MANY_PIXELS,
            f"{len(planes):,} rows in all planes of {planes.shape[1]:,} columns; "
            f"at most {MAX_SIDE_PX:,} are allowed: make smaller tiles",
        )
    names = NAME_SEPARATOR.join(bands).encode()
    header = _HEADER.pack(
        *(PAYLOAD_MAGIC, VERSION, SAMPLE_TYPES.index(pixels.dtype.name)),
        *(valid is not None, values == "scaled"),
        *(*pixels.shape, len(names)),
    )
    return header + names + _png(planes) + _tail(scalings)


def read_header(payload: bytes) -> PayloadHeader:
    """Reads the header of a payload.

    Raises:
        PayloadError: the bytes are not a payload, or end within the header.
    """
    if payload and payload[: len(PAYLOAD_MAGIC)] != PAYLOAD_MAGIC:
        raise PayloadError(Refusal.UNSUPPORTED_FORMAT, "the bytes are not the payload of a tile")
    if len(payload) < HEADER_BYTES:
        raise PayloadError(Refusal.CORRUPT, "the payload ends within its header")
    _, version, dtype, mask, applied, height, width, count, length = _HEADER.unpack_from(payload)
    if version != VERSION:
        raise PayloadError(Refusal.UNSUPPORTED_FORMAT, f"version {version} of the payload's form")
    data_offset = HEADER_BYTES + length
    bands = _names(payload[HEADER_BYTES:data_offset])
    sound = dtype < len(SAMPLE_TYPES) and mask <= 1 and applied < len(VALUES) and height and width
    if not sound or data_offset >= len(payload) or len(bands) != count:
        raise PayloadError(Refusal.CORRUPT, "the payload's header contradicts itself")
    scalings = _scalings(payload[data_offset:], count)
    return PayloadHeader(
        *(SAMPLE_TYPES[dtype], height, width, bands, bool(mask), data_offset),
        values=VALUES[applied],
        scalings=scalings,
    )


def decode_payload(payload: bytes, max_samples: int = MAX_SAMPLES) -> Payload:
    """Decodes the tile in a payload: the reference for the served decoder.

    Raises:
        PayloadError: the bytes are not a sound payload, or declare more samples than allowed.

    >>> payload = encode_payload(np.full((2, 3, 1), 7, np.float32), ["height"])
    >>> tile = decode_payload(payload)
    >>> tile.pixels.shape, tile.bands, bool(tile.valid.all())
    ((2, 3, 1), ('height',), True)
    """
    header = read_header(payload)
    if header.samples > max_samples or max(header.rows, header.width) > MAX_SIDE_PX:
        raise PayloadError(
            Refusal.TOO_MANY_PIXELS,
            f"{header.samples:,} samples in {header.rows:,} rows of {header.width:,}; the limits "
            f"are {max_samples:,} and {MAX_SIDE_PX:,} each way",
        )
    planes = _unpng(payload[header.data_offset :], header.rows, header.width)
    dtype, shape = np.dtype(header.dtype), (header.height, header.width, len(header.bands))
    pixel_rows = dtype.itemsize * len(header.bands) * header.height
    in_planes = planes[:pixel_rows].reshape(dtype.itemsize, shape[2], *shape[:2])
    in_samples = np.ascontiguousarray(in_planes.transpose(2, 3, 1, 0))
    pixels = in_samples.view(dtype.newbyteorder("<")).reshape(shape).astype(dtype, copy=False)
    valid = planes[pixel_rows:].astype(bool) if header.has_mask else np.ones(shape[:2], bool)
    return Payload(pixels, valid, header.bands, header.values)


def _is_name(band: str) -> bool:
    return bool(band) and NAME_SEPARATOR not in band


def _names(encoded: bytes) -> tuple[str, ...]:
    try:
        bands = tuple(encoded.decode().split(NAME_SEPARATOR))
    except UnicodeDecodeError as error:
        raise PayloadError(Refusal.CORRUPT, "the names of the bands are not UTF-8") from error
    if "" in bands or len(set(bands)) != len(bands):
        raise PayloadError(Refusal.CORRUPT, "the names of the bands are not different names")
    return bands


def _tail(scalings: Sequence[Scaling] | None) -> bytes:
    if scalings is None:
        return b""
    lines = NAME_SEPARATOR.join(scaling.terse for scaling in scalings).encode()
    return lines + struct.pack("<I", len(lines)) + SCALINGS_MAGIC


def _scalings(data: bytes, count: int) -> tuple[str, ...] | None:
    """Reads scale and offset of each band from the bytes after the PNG, if any."""
    if not data.endswith(SCALINGS_MAGIC):
        return None
    end = len(data) - len(SCALINGS_MAGIC) - 4
    (length,) = struct.unpack_from("<I", data, end) if end >= 0 else (0,)
    lines = data[max(end - length, 0) : max(end, 0)].decode(errors="replace").split(NAME_SEPARATOR)
    if length > end or len(lines) != count:
        raise PayloadError(Refusal.CORRUPT, "the payload has not as many scales as bands")
    return tuple(lines)


def _planes(
    pixels: npt.NDArray[np.generic], valid: npt.NDArray[np.bool_] | None
) -> npt.NDArray[np.uint8]:
    """Returns bytes [rows, W] for the PNG."""
    height, width, bands = pixels.shape
    little = np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("<"))
    in_samples = little.view(np.uint8).reshape(height, width, bands, little.itemsize)
    planes = in_samples.transpose(3, 2, 0, 1).reshape(-1, width)
    return planes if valid is None else np.concatenate([planes, valid.view(np.uint8)])


def _png(planes: npt.NDArray[np.uint8]) -> bytes:
    rows, width = planes.shape
    lines = np.empty((rows, width + 1), np.uint8)
    lines[:, 0] = _FILTER_UP
    lines[0, 1:] = planes[0]
    np.subtract(planes[1:], planes[:-1], out=lines[1:, 1:])
    # Only runs and Huffman codes: as small as with a search for repeats, in less time.
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, zlib.MAX_WBITS, _MEM_LEVEL, zlib.Z_RLE)
    data = packer.compress(lines.data) + packer.flush()
    head = struct.pack(">II", width, rows) + PNG_FORM
    return PNG_MAGIC + _chunk(b"IHDR", head) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    checksum = zlib.crc32(data, zlib.crc32(kind))
    return _CHUNK.pack(len(data), kind) + data + struct.pack(">I", checksum)


def _unpng(png: bytes, rows: int, width: int) -> npt.NDArray[np.uint8]:
    """Decodes bytes [rows, W] from a PNG that this module wrote."""
    magic, (head, data, end) = png[: len(PNG_MAGIC)], _chunks(png)
    wanted = (PNG_MAGIC, struct.pack(">II", width, rows) + PNG_FORM, b"")
    size = rows * (width + 1)
    if (magic, head, end) != wanted or size > len(data) * _MOST_EXPANSION:
        raise PayloadError(Refusal.CORRUPT, "the PNG is not the one that the header declares")
    try:
        packed = zlib.decompressobj().decompress(data, size)
    except zlib.error as error:
        raise PayloadError(Refusal.CORRUPT, f"the samples cannot be unpacked: {error}") from error
    if len(packed) != size:
        raise PayloadError(Refusal.CORRUPT, f"the samples are {len(packed):,} bytes, not {size:,}")
    lines = np.frombuffer(packed, np.uint8).reshape(rows, width + 1)
    if (lines[:, 0] != _FILTER_UP).any():
        raise PayloadError(Refusal.CORRUPT, "a row is not filtered by Up")
    return np.add.accumulate(lines[:, 1:], axis=0, dtype=np.uint8)


def _chunks(png: bytes) -> tuple[bytes, bytes, bytes]:
    """Returns the data of the chunks IHDR, IDAT and IEND, which must follow each other."""
    found, at = [], len(PNG_MAGIC)
    for wanted in (b"IHDR", b"IDAT", b"IEND"):
        start = at + _CHUNK.size
        length, kind = _CHUNK.unpack(png[at:start]) if start <= len(png) else (0, b"")
        data, at = png[start : start + length], start + length + 4
        if kind != wanted or png[start - 4 : at] != _chunk(kind, data)[4:]:
            raise PayloadError(Refusal.CORRUPT, f"no sound chunk {wanted.decode()} in the PNG")
        found.append(data)
    return found[0], found[1], found[2]
