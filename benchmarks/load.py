"""A lightweight load generator, so that the benchmark measures the server and not its clients.

Each client is one connection that sends a request, waits for the answer and sends the next.
Requests are built beforehand, and the protocols are implemented on plain sockets in one thread:
HTTP/1.1 for REST, and the part of HTTP/2 (RFC 9113) that one request at a time on a connection
needs.

    python -m benchmarks.load {grpc,rest} HOST PORT MODEL IMAGES_FILE CLIENTS SECONDS

prints one JSON object: requests, failures, seconds, cpu_s and latencies_ms (p50, p99).
"""

import base64
import json
import resource
import selectors
import socket
import struct
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Protocol

from serving.client.wire_messages import build_messages
from serving.client.wire_tensors import encode_tensor, string_array

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _SETTINGS, _PING, _GOAWAY, _WINDOW_UPDATE = 0, 1, 4, 6, 7, 8
_ACK = END_STREAM = 1
_END_HEADERS = 4
_MOST = 2**31 - 1
_START_WINDOW = 65535


class Connection(Protocol):
    """One client's side of a protocol."""

    def opening(self) -> bytes:
        """Returns the bytes to send before the first request."""

    def request(self) -> bytes:
        """Returns the next request."""

    def received(self, data: bytes) -> tuple[int, int, bytes]:
        """Processes received bytes.

        Returns: completed good answers, failed answers, and bytes to send back.
        """


@dataclass
class RestConnection:
    """HTTP/1.1 with keep-alive."""

    requests: list[bytes]
    start: int
    _buffer: bytes = b""

    def __post_init__(self) -> None:
        self._next = cycle(self.requests[self.start :] + self.requests[: self.start])

    def opening(self) -> bytes:
        return b""

    def request(self) -> bytes:
        return next(self._next)

    def received(self, data: bytes) -> tuple[int, int, bytes]:
        buffer = self._buffer + data
        head_end = buffer.find(b"\r\n\r\n")
        if head_end >= 0:
            at = buffer.lower().index(b"content-length: ") + 16
            length = int(buffer[at : buffer.index(b"\r\n", at)])
            if len(buffer) >= head_end + 4 + length:
                self._buffer = b""
                good = buffer.startswith(b"HTTP/1.1 200")
                return int(good), int(not good), b""
        self._buffer = buffer
        return 0, 0, b""


@dataclass
class GrpcConnection:
    """HTTP/2 with one stream at a time."""

    requests: list[bytes]
    start: int
    headers: bytes
    _buffer: bytearray = field(default_factory=bytearray)
    _stream: int = -1
    _answer_bytes: int = 0

    def __post_init__(self) -> None:
        self._next = cycle(self.requests[self.start :] + self.requests[: self.start])

    def opening(self) -> bytes:
        # Windows so large that the server never waits for an update from this client.
        settings = struct.pack(">HI", 4, _MOST)
        window = struct.pack(">I", _MOST - _START_WINDOW)
        return _PREFACE + frame(_SETTINGS, 0, 0, settings) + frame(_WINDOW_UPDATE, 0, 0, window)

    def request(self) -> bytes:
        self._stream += 2
        self._answer_bytes = 0
        return frame(_HEADERS, _END_HEADERS, self._stream, self.headers) + frame(
            _DATA, END_STREAM, self._stream, next(self._next)
        )

    def received(self, data: bytes) -> tuple[int, int, bytes]:
        self._buffer += data
        good = failed = 0
        back = b""
        while len(self._buffer) >= 9:
            size = int.from_bytes(self._buffer[:3], "big")
            if len(self._buffer) < 9 + size:
                break
            kind, flags = self._buffer[3], self._buffer[4]
            payload = bytes(self._buffer[9 : 9 + size])
            del self._buffer[: 9 + size]
            if kind == _DATA:
                self._answer_bytes += size
            elif kind == _SETTINGS and not flags & _ACK:
                back += frame(_SETTINGS, _ACK, 0, b"")
            elif kind == _PING and not flags & _ACK:
                back += frame(_PING, _ACK, 0, payload)
            elif kind == _GOAWAY:
                raise ConnectionError(f"the server ended the connection: {payload!r}")
            if kind in (_DATA, _HEADERS) and flags & END_STREAM:
                # An error has trailers only; every good answer has a message.
                good += self._answer_bytes > 5
                failed += self._answer_bytes <= 5
        return good, failed, back


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """Returns an HTTP/2 frame."""
    return (
        len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload
    )


def literal_headers(headers: Sequence[tuple[str, str]]) -> bytes:
    """Encodes headers in the simplest form of HPACK (RFC 7541): literals without indexing."""
    return b"".join(
        b"\x00" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
        for name, value in headers
    )


def rest_requests(images: Sequence[bytes], model: str) -> list[bytes]:
    """Returns a request of one instance for each image."""
    requests = []
    for image in images:
        instance = {"b64": base64.b64encode(image).decode()}
        body = json.dumps({"instances": [instance]}).encode()
        head = (
            f"POST /v1/models/{model}:predict HTTP/1.1\r\nHost: localhost\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        requests.append(head.encode() + body)
    return requests


def grpc_requests(images: Sequence[bytes], model: str) -> list[bytes]:
    """Returns a length-prefixed message for each image."""
    requests = []
    message_class = build_messages().predict_request
    for image in images:
        message = message_class()
        message.model_spec.name = model
        message.model_spec.signature_name = "serving_default"
        encode_tensor(string_array([image]), message.inputs["image_bytes"])
        body = message.SerializeToString()
        requests.append(b"\x00" + len(body).to_bytes(4, "big") + body)
    return requests


def connections(kind: str, images: Sequence[bytes], model: str, count: int) -> list[Connection]:
    """Returns one connection for each client; they start at different images."""
    if kind == "rest":
        requests = rest_requests(images, model)
        return [RestConnection(requests, i % len(images)) for i in range(count)]
    requests = grpc_requests(images, model)
    headers = literal_headers(
        [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", "/tensorflow.serving.PredictionService/Predict"),
            (":authority", "localhost"),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
        ]
    )
    return [GrpcConnection(requests, i % len(images), headers) for i in range(count)]


@dataclass
class Load:
    """Measurements of the clients."""

    requests: int
    failures: int
    seconds: float
    cpu_s: float
    p50_ms: float
    p99_ms: float


def run(clients: Sequence[Connection], host: str, port: int, seconds: float) -> Load:
    """Keeps all clients sending requests for some seconds."""
    selector = selectors.DefaultSelector()
    sent_at: dict[int, float] = {}
    sockets = [socket.create_connection((host, port)) for _ in clients]
    for client, sock in zip(clients, sockets, strict=True):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(sock, selectors.EVENT_READ, (sock, client))
        sock.sendall(client.opening() + client.request())
        sent_at[sock.fileno()] = time.perf_counter()
    latencies: list[float] = []
    good = failed = 0
    began, cpu_began = time.perf_counter(), _cpu_s()
    end = began + seconds
    while (now := time.perf_counter()) < end:
        for key, _ in selector.select(timeout=1.0):
            sock, client = key.data
            data = sock.recv(1 << 16)
            if not data:
                raise ConnectionError("the server closed a connection")
            done, bad, back = client.received(data)
            if done or bad:
                now = time.perf_counter()
                latencies.append(now - sent_at[key.fd])
                good, failed = good + done, failed + bad
                sent_at[key.fd] = now
                back += client.request()
            if back:
                sock.sendall(back)
    took, cpu_s = time.perf_counter() - began, _cpu_s() - cpu_began
    for sock in sockets:
        sock.close()
    latencies.sort()
    return Load(
        requests=good,
        failures=failed,
        seconds=took,
        cpu_s=cpu_s,
        p50_ms=1000 * latencies[len(latencies) // 2] if latencies else 0.0,
        p99_ms=1000 * latencies[int(len(latencies) * 0.99)] if latencies else 0.0,
    )


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main(arguments: Sequence[str]) -> None:
    """Reads the arguments, runs the load and prints the result."""
    kind, host, port, model, images_file, count, seconds = arguments
    images = [bytes.fromhex(line) for line in Path(images_file).read_text().split()]
    clients = connections(kind, images, model, int(count))
    print(json.dumps(vars(run(clients, host, int(port), float(seconds)))))


if __name__ == "__main__":
    main(sys.argv[1:])
