"""gRPC within a stream of HTTP/2: the message of a call, its deadline, and its status."""

import re
import zlib
from urllib.parse import quote

from serving.server.errors import Code, ServingError

#: Compressions of messages that `decompressed` knows, for `grpc-accept-encoding`.
ENCODINGS = b"identity,deflate,gzip"
_PREFIX_BYTES = 5  # a byte that says whether the message is compressed, and its length
_WINDOW_BITS = {b"gzip": 31, b"deflate": 15}
_TIMEOUT = re.compile(rb"(\d{1,8})([HMSmun])")
_UNIT_S = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}
_UNESCAPED = bytes(set(range(0x20, 0x7F)) - {ord("%")})

Headers = tuple[tuple[bytes, bytes], ...]


class FirstMessage:
    """First message of a stream, from the data that arrives; all further data is dropped."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._data: bytes | bytearray = b""
        self._size = _PREFIX_BYTES  # known once the prefix has arrived
        self._arrived = False

    def add(self, data: bytes) -> bool:
        """Adds received data; returns True once the message is complete.

        Raises:
            ServingError: RESOURCE_EXHAUSTED for a message that is announced as larger than allowed.
        """
        if self._arrived:
            return True
        if not self._data:
            self._data = data
        else:
            if isinstance(self._data, bytes):
                self._data = bytearray(self._data)
            self._data += data
        if self._size == _PREFIX_BYTES <= len(self._data):
            length = int.from_bytes(self._data[1:_PREFIX_BYTES], "big")
            _check_size(length, self._max_bytes)
            self._size += length
        self._arrived = len(self._data) >= self._size and self._size_is_known
        return self._arrived

    @property
    def held_bytes(self) -> int:
        """Bytes that have arrived so far."""
        return len(self._data)

    @property
    def is_compressed(self) -> bool:
        """True if the complete message has to be decompressed."""
        return bool(self._data[0])

    def take(self) -> bytes:
        """Returns the complete message as sent, and releases it."""
        content = bytes(self._data[_PREFIX_BYTES : self._size])
        self._data = b""
        return content

    @property
    def _size_is_known(self) -> bool:
        return len(self._data) >= _PREFIX_BYTES


def framed(message: bytes) -> bytes:
    """Returns an uncompressed message with its prefix."""
    return b"\x00" + len(message).to_bytes(4, "big") + message


def decompressed(content: bytes, encoding: bytes, max_bytes: int) -> bytes:
    """Returns a message that was sent compressed.

    Raises:
        ServingError: UNIMPLEMENTED, INTERNAL or RESOURCE_EXHAUSTED.
    """
    bits = _WINDOW_BITS.get(encoding)
    if bits is None:
        name = encoding.decode("ascii", "replace") or "none"
        raise ServingError(Code.UNIMPLEMENTED, f"The compression {name} is not supported")
    stream = zlib.decompressobj(bits)
    try:
        message = stream.decompress(content, max_bytes + 1)
    except zlib.error as error:
        raise ServingError(Code.INTERNAL, "The message cannot be decompressed") from error
    _check_size(len(message), max_bytes)
    if not stream.eof or stream.unused_data:
        raise ServingError(Code.INTERNAL, "The message cannot be decompressed")
    return message


def timeout_s(value: bytes) -> float | None:
    """Returns the seconds of a `grpc-timeout` header; None if it states no time.

    >>> timeout_s(b"250m")
    0.25
    """
    match = _TIMEOUT.fullmatch(value)
    return int(match[1]) * _UNIT_S[match[2]] if match else None


def status_headers(code: int, message: str) -> Headers:
    """Returns the headers that end a call.

    >>> status_headers(5, "no 100 % é")
    ((b'grpc-status', b'5'), (b'grpc-message', b'no 100 %25 %C3%A9'))
    """
    status = (b"grpc-status", b"%d" % code)
    if not message:
        return (status,)
    return (status, (b"grpc-message", quote(message.strip(), safe=_UNESCAPED).encode()))


def _check_size(size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise ServingError(
            Code.RESOURCE_EXHAUSTED, f"Received message larger than max ({size} vs. {max_bytes})"
        )
