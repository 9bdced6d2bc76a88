"""Hostile requests, each with the answers that a server may give to it.

They are small, and are meant to cost the server memory, time or connections.
"""

import gzip
import http.client
import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from urllib.parse import urlsplit

import grpc

from serving.client.wire_messages import build_messages

MODEL = "model"
_PATH = f"/v1/models/{MODEL}:predict"
_PREDICT = "/tensorflow.serving.PredictionService/Predict"
_TIMEOUT_S = 20.0
_MB = 1 << 20

#: Outcomes of any request while its server is killed, stopped or overloaded.
LOST = frozenset({"lost", "UNAVAILABLE", "503", "429", "RESOURCE_EXHAUSTED"})


@dataclass(frozen=True)
class Target:
    """Addresses of the server: `grpc://...` and `http://...`."""

    grpc: str
    rest: str


@dataclass(frozen=True)
class Attack:
    """A hostile request: `run` returns an HTTP status, a gRPC code or "lost".

    `refusals` holds the correct outcomes.
    """

    name: str
    refusals: frozenset[str]
    run: Callable[[Target], str]


def attacks() -> tuple[Attack, ...]:
    """Returns all attacks."""
    return (
        _rest("a body beyond the limit", {"413"}, lambda: b" " * (65 * _MB)),
        _rest("a compressed body that expands", {"413"}, _bomb, {"Content-Encoding": "gzip"}),
        _rest("JSON of many lists", {"400"}, lambda: b"[" * (8 * _MB)),
        _rest("JSON of many values", {"400"}, lambda: b'{"instances":[' + b"{}," * (5 * _MB)),
        _rest("JSON nested deeply", {"400"}, lambda: b'{"a":' * 5000),
        _rest("a JSON string without end", {"400"}, lambda: b"[" * 40 + b'"' + b'\\"' * _MB),
        _rest("JSON of many values in UTF-16", {"400"}, _in_utf_16),
        _rest("many rows", {"400"}, lambda: json.dumps({"instances": ["x"] * 100_000}).encode()),
        _rest("no image", {"400"}, lambda: b'{"instances":["no image at all, but some text"]}'),
        _rest("a long header", {"400"}, lambda: b"x", {"X": "h" * 20_000}),
        Attack("no HTTP", frozenset({"400"}), _no_http),
        Attack("heads that do not end", frozenset({"closed"}), _half_heads),
        Attack("bodies that do not end", frozenset({"408"}), _half_bodies),
        _tensor("a row repeated a million times", {"INVALID_ARGUMENT"}, [10**6]),
        _tensor("a negative shape", {"INVALID_ARGUMENT"}, [-5]),
        _tensor("a shape that overflows", {"INVALID_ARGUMENT"}, [1, 2**62, 2**62]),
        _tensor("a large shape of other rank", {"RESOURCE_EXHAUSTED"}, [1, 10**8]),
        _message("no message", {"INTERNAL"}, lambda: b"\xff" * 1000),
        _message("a message of many fields", {"INVALID_ARGUMENT"}, lambda: b"\x12\x00" * (8 * _MB)),
        _message("a message beyond the limit", {"RESOURCE_EXHAUSTED"}, lambda: bytes(65 * _MB)),
        Attack("a compressed message that expands", frozenset({"RESOURCE_EXHAUSTED"}), _grpc_bomb),
    )


def _rest(
    name: str,
    refusals: set[str],
    body: Callable[[], bytes],
    headers: dict[str, str] | None = None,
) -> Attack:
    def run(target: Target) -> str:
        parts = urlsplit(target.rest)
        connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=_TIMEOUT_S)
        try:
            connection.request("POST", _PATH, body(), headers or {})
            return str(connection.getresponse().status)
        except (OSError, http.client.HTTPException):
            return "lost"
        finally:
            connection.close()

    return Attack(name, frozenset(refusals), run)


def _tensor(name: str, refusals: set[str], shape: list[int]) -> Attack:
    def body() -> bytes:
        request = build_messages().predict_request()
        request.model_spec.name = MODEL
        request.model_spec.signature_name = "serving_default"
        tensor = request.inputs["image_bytes"]
        tensor.dtype = 7
        tensor.string_val.append(b"j" * 2000)
        for size in shape:
            tensor.tensor_shape.dim.add().size = size
        content: bytes = request.SerializeToString()
        return content

    return _message(name, refusals, body)


def _message(
    name: str,
    refusals: set[str],
    body: Callable[[], bytes],
    compression: grpc.Compression | None = None,
) -> Attack:
    def run(target: Target) -> str:
        with grpc.insecure_channel(target.grpc.removeprefix("grpc://"), _OPTIONS) as channel:
            try:
                channel.unary_unary(_PREDICT)(body(), timeout=_TIMEOUT_S, compression=compression)
            except grpc.RpcError as error:
                return str(error.code().name)
            return "OK"

    return Attack(name, frozenset(refusals), run)


_OPTIONS = [("grpc.max_send_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]


@cache
def _bomb() -> bytes:
    return gzip.compress(bytes(200 * _MB), 9)


def _in_utf_16() -> bytes:
    """Returns JSON whose structure looks like a string to a parser that counts quotes by bytes."""
    return ('{"x":"\u2200","instances":[' + "{}," * (5 * _MB)).encode("utf-16-le")


def _grpc_bomb(target: Target) -> str:
    attack = _message("", set(), lambda: bytes(100 * _MB), grpc.Compression.Gzip)
    return attack.run(target)


def _no_http(target: Target) -> str:
    return _unfinished(target, 1, b"\x16\x03\x01 no HTTP\r\n\r\n")


def _half_heads(target: Target) -> str:
    return _unfinished(target, 100, b"POST / HTTP/1.1\r\nX: y\r\n")


def _half_bodies(target: Target) -> str:
    head = f"POST {_PATH} HTTP/1.1\r\nHost: h\r\nContent-Length: {60 * _MB}\r\n\r\n"
    answer = _unfinished(target, 10, head.encode() + bytes(_MB))
    return "lost" if answer == "closed" else answer  # its process ended


def _unfinished(target: Target, count: int, content: bytes) -> str:
    """Sends unfinished requests and returns how their connections end: a status, or "closed"."""
    with _sockets(target, count, content) as sockets:
        answers = [sock.recv(1000) for sock in sockets]
    return answers[-1].split()[1].decode() if answers[-1] else "closed"


@contextmanager
def _sockets(target: Target, count: int, content: bytes) -> Iterator[list[socket.socket]]:
    parts = urlsplit(target.rest)
    opened: list[socket.socket] = []
    try:
        for _ in range(count):
            sock = socket.create_connection((str(parts.hostname), parts.port or 0), _TIMEOUT_S)
            opened.append(sock)
            sock.sendall(content)
        yield opened
    finally:
        for sock in opened:
            sock.close()
