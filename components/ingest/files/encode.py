"""tf.Examples and TFRecords as bytes.

Writing this one kind of message field by field is several times faster than filling protocol
objects, and the wire format is fixed (protobuf.dev/programming-guides/encoding; tensorflow/core/
example/example.proto and feature.proto; the record in tensorflow/core/lib/io/record_writer.h).
"""

import hashlib
import io
import struct
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from typing import IO

import google_crc32c
import numpy as np
from PIL import Image

from components.ingest.records.outcome import Accepted
from components.ingest.records.record import Record, SliceValue
from components.raster import example
from components.raster.features import ImageFeatures
from components.raster.labels.targets import Boxes, MaskPixels

_BYTES, _FLOAT, _INT64 = 1, 2, 3  # the fields of Feature
_MASK = 0xA282EAD8


def example_bytes(
    record: Record,
    data: bytes,
    sha256: str,
    image: Accepted,
    features: ImageFeatures | None,
    classes: Mapping[str, int],
    more: Iterable[bytes] = (),
) -> bytes:
    """Serializes a tf.Example as `components.raster.example` specifies it; `more` are entries."""
    key = record.key.encode("utf-8", "surrogateescape")
    parts = [
        _bytes_head(example.ENCODED, len(data)),
        data,
        _SHA256_HEAD,
        sha256.encode(),
        _bytes_head(example.KEY, len(key)),
        key,
        _size_entries(image.format, image.height, image.width, image.channels),
    ]
    parts += record_entries(record, classes)
    parts += more
    if features is not None:
        parts.append(_float_entries(features))
    return features_message(parts)


def record_entries(record: Record, classes: Mapping[str, int]) -> list[bytes]:
    """Encodes a record's truth and slices."""
    entries = []
    if record.label is not None:
        entries.append(_label_entries(record.label, classes[record.label]))
    if record.labels is not None:
        indices = tuple(classes[it] for it in record.labels)
        entries.append(_labels_entries(record.labels, indices))
    if record.number is not None:
        entries.append(float_entry(example.NUMBER, record.number))
    if record.slices:
        entries += [_slice_entry(name, value) for name, value in record.slices.items()]
    return entries


def features_message(entries: Sequence[bytes]) -> bytes:
    """Serializes a tf.Example from the entries of its features."""
    return b"".join((_head(1, sum(map(len, entries))), *entries))


def write_record(file: IO[bytes], payload: bytes) -> None:
    """Writes one TFRecord: length, its masked checksum, payload, its masked checksum."""
    file.write(_record_head(len(payload)))
    file.write(payload)
    file.write(_masked_crc(payload))


@lru_cache(maxsize=1 << 16)
def _record_head(size: int) -> bytes:
    length = size.to_bytes(8, "little")
    return length + _masked_crc(length)


def _masked_crc(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    return ((((crc >> 15) | (crc << 17)) + _MASK) & 0xFFFFFFFF).to_bytes(4, "little")


def _varint(value: int) -> bytes:
    """Encodes base-128, least significant group first; negatives as 64-bit two's complement."""
    value &= 0xFFFFFFFFFFFFFFFF
    groups = bytearray()
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    groups.append(value)
    return bytes(groups)


@lru_cache(maxsize=1 << 16)
def _head(field: int, size: int) -> bytes:
    """Encodes the tag and length before the `size` bytes of a length-delimited field."""
    return bytes((field << 3 | 2,)) + _varint(size)


def _message(field: int, body: bytes) -> bytes:
    """Encodes a length-delimited field."""
    return _head(field, len(body)) + body


def _entry(name: str, feature: bytes) -> bytes:
    """Encodes one entry of the map in Features: the name and its Feature."""
    return _message(1, _message(1, name.encode()) + _message(2, feature))


@lru_cache(maxsize=1 << 16)
def _bytes_head(name: str, size: int) -> bytes:
    """Encodes everything before the `size` bytes of a bytes feature's only value."""
    value = _head(1, size)
    values = _head(_BYTES, len(value) + size) + value
    feature = _head(2, len(values) + size) + values
    key = _message(1, name.encode())
    return _head(1, len(key) + len(feature) + size) + key + feature


_SHA256_HEAD = _bytes_head(example.SHA256, 2 * hashlib.sha256().digest_size)


def bytes_entry(name: str, *values: bytes) -> bytes:
    """Encodes a feature of byte strings."""
    return _entry(name, _message(_BYTES, b"".join(_message(1, value) for value in values)))


def int_entry(name: str, *values: int) -> bytes:
    """Encodes a feature of integers."""
    return _entry(name, _message(_INT64, _message(1, b"".join(map(_varint, values)))))


def float_entry(name: str, *values: float) -> bytes:
    """Encodes a feature of 32-bit floats."""
    return _entry(name, _message(_FLOAT, _message(1, struct.pack(f"<{len(values)}f", *values))))


def mask_entries(mask: MaskPixels | None) -> list[bytes]:
    """Encodes the features of an example that hold a mask, if there is one."""
    if mask is None:
        return []
    return [
        bytes_entry(example.MASK_ENCODED, mask_png(mask)),
        bytes_entry(example.MASK_FORMAT, b"png"),
    ]


def box_entries(boxes: Boxes | None, classes: Sequence[str]) -> list[bytes]:
    """Encodes the features of an example that hold its objects, if it has boxes."""
    if boxes is None:
        return []
    edges_px = zip(example.BOX_EDGES, boxes.edges_px.T, strict=True)
    indices = boxes.classes.tolist()
    names = (classes[index].encode() for index in indices)
    return [
        *(float_entry(name, *edges.tolist()) for name, edges in edges_px),
        int_entry(example.OBJECT_LABEL, *indices),
        bytes_entry(example.OBJECT_LABEL_TEXT, *names),
    ]


def mask_png(mask: MaskPixels) -> bytes:
    """Encodes a mask as a gray PNG of 8 or 16 bits."""
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(mask)).save(file, "PNG")
    return file.getvalue()


@lru_cache(maxsize=4096)
def _size_entries(kind: str, height: int, width: int, channels: int) -> bytes:
    return (
        bytes_entry(example.FORMAT, kind.encode())
        + int_entry(example.HEIGHT, height)
        + int_entry(example.WIDTH, width)
        + int_entry(example.CHANNELS, channels)
    )


@lru_cache(maxsize=4096)
def _label_entries(label: str, index: int) -> bytes:
    return int_entry(example.LABEL, index) + bytes_entry(example.LABEL_TEXT, label.encode())


@lru_cache(maxsize=4096)
def _labels_entries(labels: tuple[str, ...], indices: tuple[int, ...]) -> bytes:
    return int_entry(example.LABELS, *indices) + bytes_entry(
        example.LABELS_TEXT, *(label.encode() for label in labels)
    )


@lru_cache(maxsize=4096, typed=True)  # 1 and 1.0 are equal, but are features of two kinds
def _slice_entry(name: str, value: SliceValue) -> bytes:
    feature = example.slice_feature(name)
    if isinstance(value, str):
        return bytes_entry(feature, value.encode("utf-8", "surrogateescape"))
    return int_entry(feature, value) if isinstance(value, int) else float_entry(feature, value)


def _template(names: Sequence[str]) -> tuple[struct.Struct, list[bytes]]:
    """Returns the packing of float entries: each feature's constant head, then its four bytes."""
    heads = [float_entry(name, 0.0)[:-4] for name in names]
    return struct.Struct("<" + "".join(f"{len(head)}sf" for head in heads)), heads


_FLOATS, _HEADS = _template(
    [
        example.BRIGHTNESS,
        example.SHARPNESS,
        *(example.mean_of_band(band) for band in range(3)),
        *(example.stddev_of_band(band) for band in range(3)),
    ]
)


def _float_entries(features: ImageFeatures) -> bytes:
    values = (features.brightness, features.sharpness, *features.mean, *features.stddev)
    return _FLOATS.pack(*chain.from_iterable(zip(_HEADS, values, strict=True)))
