"""Directories of a TIFF file, read and written as bytes.

The format is that of TIFF 6.0, section 2, and of BigTIFF (libtiff's design document), where counts
and offsets have eight bytes. Only little-endian files are supported.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

#: Numbers of types, and of the tags that depend on a raster's size.
SHORT, LONG, LONG8 = 3, 4, 16
IMAGE_WIDTH, IMAGE_LENGTH = 256, 257
TILE_WIDTH, TILE_LENGTH, TILE_OFFSETS, TILE_BYTE_COUNTS = 322, 323, 324, 325

_FORMATS: Mapping[int, str] = {SHORT: "H", LONG: "I", LONG8: "Q"}
#: Bytes of a value by its type: BYTE, ASCII, SHORT, LONG, RATIONAL, their signed and floating
#: kinds, IFD, and those of BigTIFF.
_BYTES = dict(
    zip(
        (*range(1, 14), *range(16, 19)),
        (1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 8, 8, 8),
        strict=True,
    )
)


@dataclass(frozen=True)
class TagValues:
    """The values of a tag.

    Attributes:
        type: of each value.
        count: number of values.
        data: their bytes.
    """

    type: int
    count: int
    data: bytes


#: Values by their tags.
Directory: TypeAlias = Mapping[int, TagValues]


@dataclass(frozen=True)
class _Layout:
    """`struct` formats of one of the two kinds of files."""

    magic: bytes
    offset: str
    count: str
    entry: str


_CLASSIC = _Layout(b"II*\0", "<I", "<H", "<HHI4s")
_BIG = _Layout(b"II+\0\x08\0\0\0", "<Q", "<Q", "<HHQ8s")


def integers(type_: int, *values: int) -> TagValues:
    """Returns SHORT, LONG or LONG8 values."""
    return TagValues(type_, len(values), struct.pack(f"<{len(values)}{_FORMATS[type_]}", *values))


def read_directories(data: bytes) -> tuple[list[Directory], bytes]:
    """Returns the directories of a file that is not BigTIFF, and the bytes before the first one.

    Raises:
        ValueError: it is another kind of file.
    """
    layout = _CLASSIC
    if not data.startswith(layout.magic):
        raise ValueError(f"not a little-endian TIFF: it begins with {data[:4]!r}")
    after = len(layout.magic) + struct.calcsize(layout.offset)
    [first] = struct.unpack_from(layout.offset, data, len(layout.magic))
    directories: list[Directory] = []
    at = first
    while at:
        [count] = struct.unpack_from(layout.count, data, at)
        at += struct.calcsize(layout.count)
        entries: dict[int, TagValues] = {}
        for _ in range(count):
            tag, type_, values, inline = struct.unpack_from(layout.entry, data, at)
            at += struct.calcsize(layout.entry)
            length = values * _BYTES[type_]
            start = 0 if length <= len(inline) else struct.unpack(layout.offset, inline)[0]
            source = data if start else inline
            entries[tag] = TagValues(type_, values, source[start : start + length])
        directories.append(entries)
        [at] = struct.unpack_from(layout.offset, data, at)
    return directories, data[after:first]


def written(directories: Sequence[Directory], before: bytes = b"", *, big: bool = False) -> bytes:
    """Returns the beginning of a file: its header, and directories one after the other.

    Args:
        directories: with offsets of blocks from the file's start.
        before: bytes between the header and the first directory.
        big: make it a BigTIFF.
    """
    layout = _BIG if big else _CLASSIC
    start = len(layout.magic) + struct.calcsize(layout.offset)
    found = _aligned(before, start)
    parts = [layout.magic, struct.pack(layout.offset, start + len(found)), found]
    at = start + len(found)
    for number, directory in enumerate(directories):
        part = _directory(directory, at, layout, is_last=number + 1 == len(directories))
        parts.append(part)
        at += len(part)
    return b"".join(parts)


def _directory(directory: Directory, at: int, layout: _Layout, *, is_last: bool) -> bytes:
    """Returns a directory that begins at an offset, followed by the values that it points to."""
    entry_bytes, offset_bytes = struct.calcsize(layout.entry), struct.calcsize(layout.offset)
    entries = [struct.pack(layout.count, len(directory))]
    outside = at + len(entries[0]) + len(directory) * entry_bytes + offset_bytes
    values = b""
    for tag, entry in sorted(directory.items()):
        shown = entry.data
        if len(shown) > offset_bytes:
            shown = struct.pack(layout.offset, outside + len(values))
            values += _aligned(entry.data, 0)
        entries.append(struct.pack(layout.entry, tag, entry.type, entry.count, shown))
    following = 0 if is_last else outside + len(values)
    return b"".join([*entries, struct.pack(layout.offset, following), values])


def _aligned(data: bytes, start: int) -> bytes:
    """Pads bytes that begin at an offset with zeros, up to a multiple of 16."""
    return data + bytes(-(start + len(data)) % 16)
