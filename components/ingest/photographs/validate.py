"""Validates images with the served graph's decoder and returns their pixels.

Plain JPEGs and PNGs take a faster path through the same libraries. Files that are not plain, or
have a flaw, go to `serving.graph.decode`; only its refusal makes a reject. TensorFlow is loaded by
the first file that needs it.
"""

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import simplejpeg

from components.ingest.records.outcome import Accepted
from components.raster.graph_errors import refusal_message
from components.raster.image import (
    JPEG_MAGIC,
    JPEG_SCAN_MARKER,
    PNG_MAGIC,
    ImageSpec,
    Refusal,
)
from components.raster.reasons import Reason

Pixels = npt.NDArray[np.uint8]

_EXIF_STARTS = (4, 64)  # where `serving.graph.decode` searches for the name before an orientation
_EXIF = b"Exif\0\0"
_EXIF_END = _EXIF_STARTS[1] + len(_EXIF)
_LEAST_BYTES = 26
_END_OF_IMAGE = b"\xff\xd9"
_PNG_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}  # by colour type; a palette's colours are RGB
# SOF0 and SOF1. A progressive file that lacks its last scans is not an error to libjpeg, which
# then smooths the blocks, differently in each of its versions.
_SEQUENTIAL = (0xC0, 0xC1)
_SAMPLE_BITS = 8
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # less DHT, JPG and DAC
_FRAME_HEADER = struct.Struct(">BHHB")
_SCAN = frozenset(JPEG_SCAN_MARKER[1:])
_WITHOUT_LENGTH = frozenset([0x00, 0x01, *range(0xD0, 0xD9), 0xFF])  # stuffing, TEM, RST, SOI, fill
_PLAIN_COLORS = ("Gray", "YCbCr")


@dataclass(frozen=True, slots=True)
class Refused:
    """An image that the served graph refuses."""

    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class _Head:
    """The bytes of a plain JPEG before its first scan, and the shape that they state."""

    data: bytes
    height: int
    width: int
    channels: int


_NO_HEAD = _Head(b"none", 0, 0, 0)  # no JPEG begins with it


class ImageValidator:
    """Validates files within the limits of `spec`.

    Args:
        spec: the image contract; only its limits matter here.
        decode: whether to return pixels. Otherwise a plain file is validated by its structure:
            headers, limits, checksums if the format has them, and its end.
    """

    def __init__(self, spec: ImageSpec, decode: bool) -> None:
        self._spec = spec
        self._bounds = (spec.max_bytes, spec.max_pixels, spec.max_scan_pixels)
        self._decode = decode
        self._reference: Callable[[bytes], Pixels] | None = None
        self._last_head = _NO_HEAD

    def __call__(self, data: bytes) -> Accepted | Refused:
        if data.startswith(PNG_MAGIC):
            return self._plain_png(data) or self.by_reference(data)
        return self._plain_jpeg(data) or self.by_reference(data)

    def by_reference(self, data: bytes) -> Accepted | Refused:
        """Returns the verdict of the served decoder."""
        if self._reference is None:
            self._reference = _reference_decoder(self._spec)
        try:
            pixels = self._reference(data)
        except _InvalidImage as error:
            return refused_by(str(error))
        height, width, _ = pixels.shape
        is_png = data.startswith(PNG_MAGIC)
        channels = _PNG_CHANNELS[data[25]] if is_png else _jpeg_channels(data)
        return Accepted("png" if is_png else "jpeg", height, width, channels, pixels)

    def _plain_jpeg(self, data: bytes) -> Accepted | None:
        """Accepts an upright sequential grey or YCbCr JPEG without flaws; None for other files."""
        decode = self._decode or not data.endswith(_END_OF_IMAGE)
        head = self._head_of(data, decode)
        if head is None or not self._within_bounds(data, head.height * head.width):
            return None
        pixels = None
        if decode:
            try:
                pixels = simplejpeg.decode_jpeg(data)
            except ValueError:  # raised for libjpeg's warnings too
                return None
        return Accepted("jpeg", head.height, head.width, head.channels, pixels)

    def _head_of(self, data: bytes, decode: bool) -> _Head | None:
        """Returns the head of a plain JPEG. Files of one encoder and size often share theirs."""
        if decode != self._decode:
            return _plain_head(data, decode)
        if data.startswith(self._last_head.data):
            return self._last_head
        head = _plain_head(data, decode)
        self._last_head = head or self._last_head
        return head

    def _plain_png(self, data: bytes) -> Accepted | None:
        """Accepts a PNG without flaws; None for other files."""
        if len(data) < _LEAST_BYTES or _has_exif(data):
            return None
        width, height = struct.unpack_from(">II", data, 16)
        channels = _PNG_CHANNELS.get(data[25])
        if channels is None or not self._within_bounds(data, height * width):
            return None
        if not self._decode:
            return Accepted("png", height, width, channels, None) if _sound_png(data) else None
        pixels = _png_pixels(data)
        return None if pixels is None else Accepted("png", height, width, channels, pixels)

    def _within_bounds(self, data: bytes, pixels: int) -> bool:
        max_bytes, max_pixels, max_scan_pixels = self._bounds
        size = len(data)
        if not _LEAST_BYTES <= size <= max_bytes or not 0 < pixels <= max_pixels:
            return False
        # Scans take more than two bytes each, so small images need no count.
        if pixels * (size // 2) <= max_scan_pixels:
            return True
        return pixels * data.count(JPEG_SCAN_MARKER) <= max_scan_pixels


class _InvalidImage(Exception):
    """The served graph refuses an image."""


def _reference_decoder(spec: ImageSpec) -> Callable[[bytes], Pixels]:
    import tensorflow as tf

    from serving.graph.decode import decode_image

    graph = tf.function(
        lambda encoded: decode_image(encoded, spec),
        input_signature=[tf.TensorSpec([], tf.string)],
    )

    def decode(data: bytes) -> Pixels:
        try:
            pixels: Any = graph(tf.constant(data))
        except tf.errors.OpError as error:  # a bad file never stops a run
            raise _InvalidImage(error.message) from error
        result: Pixels = pixels.numpy()
        return result

    return decode


def _png_pixels(data: bytes) -> Pixels | None:
    """Decodes a PNG within limits by the reference decoder's last operation; None if that fails.
    The graph around it costs more than a small image."""
    import tensorflow as tf

    try:
        decoded: Any = tf.raw_ops.DecodePng(contents=data, channels=3)
    except tf.errors.InvalidArgumentError:
        return None
    pixels: Pixels = decoded.numpy()
    return pixels


def _has_exif(data: bytes) -> bool:
    """Checks whether the file may have an orientation that `serving.graph.decode` would read."""
    return data.find(_EXIF, _EXIF_STARTS[0], _EXIF_END) >= 0


def refused_by(message: str) -> Refused:
    """Classifies TensorFlow's message: a refusal of the graph, or a broken file."""
    text = refusal_message(message)
    for refusal in Refusal:
        _, named, detail = text.partition(f"{refusal.value}: ")
        if named:
            return Refused(Reason(refusal.value), _one_line(detail))
    return Refused(Reason.CORRUPT, _one_line(text))


def _one_line(text: str) -> str:
    return text.split("\n")[0].strip(" '\"")


def _plain_head(data: bytes, decode: bool) -> _Head | None:
    """Reads the head of an upright sequential grey or YCbCr JPEG; None for other files.

    Before decoding, the bounds must hold for what libjpeg itself reads in it.
    """
    if not data.startswith(JPEG_MAGIC) or _has_exif(data):
        return None
    frame = _segment(data, 2, _FRAMES)
    scan = _segment(data, frame, _SCAN)
    if scan == len(data) or data[frame + 1] not in _SEQUENTIAL:
        return None
    precision, height, width, channels = _FRAME_HEADER.unpack_from(data, frame + 4)
    if precision != _SAMPLE_BITS or channels not in (1, 3):
        return None
    if decode:
        try:
            height, width, colors, _ = simplejpeg.decode_jpeg_header(data)
        except ValueError:
            return None
        if colors not in _PLAIN_COLORS:
            return None
    return _Head(data[: max(scan, _EXIF_END)], height, width, channels)


def _jpeg_channels(data: bytes) -> int:
    """Returns the components of the frame header (T.81, B.2.2); 3 without any."""
    frame = _segment(data, 2, _FRAMES)
    return 3 if frame == len(data) else int(_FRAME_HEADER.unpack_from(data, frame + 4)[-1])


def _segment(data: bytes, at: int, markers: frozenset[int]) -> int:
    """Returns where the first segment with one of the markers begins, from `at` on; the length of
    the data where there is none. Bytes between segments are skipped, as decoders do."""
    end = len(data) - 10
    while at <= end:
        marker = data[at + 1]
        if data[at] != 0xFF or marker in _WITHOUT_LENGTH:
            at += 1
        elif marker in markers:
            return at
        else:
            at += 2 + (data[at + 2] << 8 | data[at + 3])
    return len(data)


def _sound_png(data: bytes) -> bool:
    """Checks that every chunk is whole and keeps its checksum (PNG 3rd ed., 5.3), up to IEND."""
    at, kinds = len(PNG_MAGIC), []
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        body = data[at + 4 : at + 8 + length]
        if data[at + 8 + length : at + 12 + length] != zlib.crc32(body).to_bytes(4, "big"):
            return False
        kinds.append(body[:4])
        if kinds[-1] == b"IEND":
            return kinds[0] == b"IHDR" and b"IDAT" in kinds
        at += 12 + length
    return False
