"""Whether an image can become an example, and its pixels: the served graph's own answer.

Plain JPEGs take a shorter way through the same library; whatever is not plain, or not clean, goes
to `serving.decode`, whose refusal alone makes a reject. TensorFlow is loaded by the first file that
needs it.
"""

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import simplejpeg

from components.ingest.reject import Reason
from components.raster.image import (
    JPEG_MAGIC,
    JPEG_SCAN_MARKER,
    PNG_MAGIC,
    ImageSpec,
    Refusal,
)

Pixels = npt.NDArray[np.uint8]

_EXIF_HEAD_BYTES = 1024  # where `serving.decode` looks for an orientation
_LEAST_BYTES = 24
_END_OF_IMAGE = b"\xff\xd9"
_PNG_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}  # by colour type; a palette's colours are RGB
_PLAIN_COLORS = {"Gray": 1, "YCbCr": 3}


@dataclass(frozen=True, slots=True)
class Accepted:
    """An image that the served graph takes; `pixels` is uint8 [height, width, 3] or not decoded."""

    format: str
    height: int
    width: int
    channels: int
    pixels: Pixels | None


@dataclass(frozen=True, slots=True)
class Refused:
    """An image that the served graph refuses."""

    reason: Reason
    detail: str


class Judge:
    """Judges files within the bounds of `spec`.

    Args:
        spec: the image contract; only its bounds matter here.
        decode: give the pixels. Without them a plain file is judged by its structure alone: its
            headers, its bounds, its checksums where the format has them, and its end.
    """

    def __init__(self, spec: ImageSpec, decode: bool) -> None:
        self._spec = spec
        self._decode = decode
        self._reference: Callable[[bytes], Pixels] | None = None

    def __call__(self, data: bytes) -> Accepted | Refused:
        return self._plain_jpeg(data) or self._plain_png(data) or self.by_reference(data)

    def by_reference(self, data: bytes) -> Accepted | Refused:
        """The verdict of the decoder that is served."""
        if self._reference is None:
            self._reference = _reference_decoder(self._spec)
        try:
            pixels = self._reference(data)
        except _InvalidImage as error:
            return _refused(str(error))
        height, width, _ = pixels.shape
        is_png = data.startswith(PNG_MAGIC)
        channels = _PNG_CHANNELS[data[25]] if is_png else _jpeg_channels(data)
        return Accepted("png" if is_png else "jpeg", height, width, channels, pixels)

    def _plain_jpeg(self, data: bytes) -> Accepted | None:
        """The verdict on an upright grey or YCbCr JPEG without a flaw; None for any other file."""
        if not data.startswith(JPEG_MAGIC) or b"Exif\0\0" in data[:_EXIF_HEAD_BYTES]:
            return None
        try:
            height, width, colors, _ = simplejpeg.decode_jpeg_header(data)
            if colors not in _PLAIN_COLORS or not self._within_bounds(data, height * width):
                return None
            if not self._decode and data.endswith(_END_OF_IMAGE):
                return Accepted("jpeg", height, width, _PLAIN_COLORS[colors], None)
            pixels = simplejpeg.decode_jpeg(data)
        except ValueError:  # also for what libjpeg merely warns about
            return None
        return Accepted("jpeg", height, width, _PLAIN_COLORS[colors], pixels)

    def _plain_png(self, data: bytes) -> Accepted | None:
        """The verdict on a PNG by its structure; None if it is not sound or pixels are wanted."""
        if self._decode or not data.startswith(PNG_MAGIC) or not _sound_png(data):
            return None
        width, height = struct.unpack_from(">II", data, 16)
        if not self._within_bounds(data, height * width) or data[25] not in _PNG_CHANNELS:
            return None
        return Accepted("png", height, width, _PNG_CHANNELS[data[25]], None)

    def _within_bounds(self, data: bytes, pixels: int) -> bool:
        spec = self._spec
        if not _LEAST_BYTES <= len(data) <= spec.max_bytes or not 0 < pixels <= spec.max_pixels:
            return False
        # Half the bytes is more scans than there can be: small images need no count.
        if pixels * (len(data) // 2) <= spec.max_scan_pixels:
            return True
        return pixels * data.count(JPEG_SCAN_MARKER) <= spec.max_scan_pixels


class _InvalidImage(Exception):
    """The served graph refuses an image."""


def _reference_decoder(spec: ImageSpec) -> Callable[[bytes], Pixels]:
    import tensorflow as tf

    from serving.decode import decode_image

    graph = tf.function(
        lambda encoded: decode_image(encoded, spec),
        input_signature=[tf.TensorSpec([], tf.string)],
    )

    def decode(data: bytes) -> Pixels:
        try:
            pixels: Any = graph(tf.constant(data))
        except tf.errors.InvalidArgumentError as error:
            raise _InvalidImage(error.message) from error
        result: Pixels = pixels.numpy()
        return result

    return decode


def _refused(message: str) -> Refused:
    """Sorts TensorFlow's message: it names a refusal of ours, or the file is broken inside."""
    for refusal in Refusal:
        _, named, detail = message.partition(f"{refusal.value}: ")
        if named:
            return Refused(Reason(refusal.value), _one_line(detail))
    return Refused(Reason.CORRUPT, _one_line(message))


def _one_line(message: str) -> str:
    return message.split("\n")[0].split("[[")[0].strip(" '\"]")


def _jpeg_channels(data: bytes) -> int:
    """Components in the frame header (ITU-T T.81, B.2.2) of a JPEG that has been decoded."""
    at = 2
    while at + 10 <= len(data):
        if data[at] != 0xFF:  # junk between segments, which decoders skip
            at += 1
            continue
        marker = data[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return data[at + 9]
        if marker in (0xFF, 0x00, 0x01) or 0xD0 <= marker <= 0xD8:
            at += 1
            continue
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return 3


def _sound_png(data: bytes) -> bool:
    """Whether every chunk is whole and keeps its checksum (PNG 3rd edition, 5.3), up to IEND."""
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
