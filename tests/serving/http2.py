"""A client of HTTP/2 that does what gRPC's own never would, and answers as headers."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import ngh2

Headers = dict[str, str]


class RawClient:
    """One connection, on which the caller decides what is sent, and when."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.http2 = ngh2.Connection(ngh2.Role.CLIENT)
        self.http2.initiate_connection()
        self.flush()

    def flush(self) -> None:
        self.sock.sendall(self.http2.data_to_send())

    def call(self, path: str, body: bytes = b"", *, end: bool = True, **headers: str) -> int:
        """Begins a call with (a part of) its body."""
        named = {
            ":method": "POST",
            ":scheme": "http",
            ":path": path,
            ":authority": "h",
            "te": "trailers",
            "content-type": "application/grpc",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        stream = self.http2.send_request([(k.encode(), v.encode()) for k, v in named.items()])
        self.http2.send_data(stream, body, end_stream=end)
        self.flush()
        return stream

    def answer(self, stream: int) -> tuple[Headers, bytes]:
        """Waits for the end of an answer: its headers with its trailers, and its body."""
        headers: Headers = {}
        body = b""
        while True:
            for event in self.http2.events():
                if getattr(event, "stream_id", None) != stream:
                    continue
                if isinstance(event, ngh2.ResponseReceived | ngh2.TrailersReceived):
                    headers |= {k.decode(): v.decode() for k, v in event.headers}
                elif isinstance(event, ngh2.DataReceived):
                    body += event.data
                elif isinstance(event, ngh2.StreamClosed | ngh2.StreamReset):
                    return headers, body
            data = self.sock.recv(1 << 16)
            if not data:
                raise ConnectionError("the server closed the connection")
            self.http2.receive_data(data)
            self.flush()


@contextmanager
def raw_client(host: str, port: int) -> Iterator[RawClient]:
    """Opens a connection."""
    with socket.create_connection((host, port), 10) as sock:
        yield RawClient(sock)
