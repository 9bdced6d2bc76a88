"""gRPC's part of the protocol, against gzip, zlib and urllib."""

import gzip
import zlib
from itertools import pairwise
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.server.errors import Code, ServingError
from serving.server.grpc_wire import (
    FirstMessage,
    decompressed,
    framed,
    status_headers,
    timeout_s,
)


@given(st.binary(max_size=40), st.binary(max_size=20), st.lists(st.integers(0, 70)))
def test_a_message_arrives_however_its_data_is_cut(
    content: bytes, more: bytes, cuts: list[int]
) -> None:
    sent = framed(content) + more
    places = sorted({0, len(sent), *(cut for cut in cuts if cut < len(sent))})
    message = FirstMessage(40)
    for start, end in pairwise(places):
        assert message.add(sent[start:end]) is (end >= 5 + len(content))
    assert message.take() == content


def test_a_message_is_refused_once_its_size_is_known() -> None:
    message = FirstMessage(1000)
    message.add(b"\x00\x00\x00")
    with pytest.raises(ServingError, match="1001 vs. 1000") as caught:
        message.add(b"\x03\xe9")
    assert caught.value.code is Code.RESOURCE_EXHAUSTED


@pytest.mark.parametrize(
    ("encoding", "compress"), [(b"gzip", gzip.compress), (b"deflate", zlib.compress)]
)
def test_compressed_messages(encoding: bytes, compress: object) -> None:
    assert callable(compress)
    sent = compress(b"pixels " * 100)
    assert decompressed(sent, encoding, 700) == b"pixels " * 100
    for refused, limit, code in (
        (sent, 699, Code.RESOURCE_EXHAUSTED),
        (sent[:-1], 700, Code.INTERNAL),
        (sent + b"x", 700, Code.INTERNAL),
        (b"pixels", 700, Code.INTERNAL),
    ):
        with pytest.raises(ServingError) as caught:
            decompressed(refused, encoding, limit)
        assert caught.value.code is code


@pytest.mark.parametrize("encoding", [b"", b"br", b"\xff"])
def test_unknown_compression(encoding: bytes) -> None:
    with pytest.raises(ServingError) as caught:
        decompressed(b"", encoding, 10)
    assert caught.value.code is Code.UNIMPLEMENTED


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (b"2H", 7200),
        (b"3M", 180),
        (b"4S", 4),
        (b"99999999m", 99999.999),
        (b"7u", 7e-6),
        (b"8n", 8e-9),
        (b"", None),
        (b"123456789S", None),
        (b"-1S", None),
        (b"1s", None),
    ],
)
def test_timeouts(header: bytes, seconds: float | None) -> None:
    assert timeout_s(header) == (None if seconds is None else pytest.approx(seconds))


@given(st.text())
def test_any_text_can_be_a_status(text: str) -> None:
    text = text.encode("utf-8", "ignore").decode()
    headers = dict(status_headers(3, text))
    assert headers[b"grpc-status"] == b"3"
    sent = headers.get(b"grpc-message", b"")
    assert all(0x20 <= byte < 0x7F for byte in sent)
    assert unquote(sent.decode()) == text.strip()
