"""`Expect: 100-continue`: a waiting client is told to continue, or refused without a body."""

import base64
import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.serving.conftest import RunningServer
from tests.serving.models import RED

LIMIT = 4096
BODY = json.dumps({"instances": [{"b64": base64.b64encode(RED).decode()}]}).encode()


@pytest.fixture(scope="module")
def server(serve_versions: Callable[..., RunningServer], colours: Path) -> RunningServer:
    return serve_versions({1: colours}, max_request_bytes=LIMIT, transfer_timeout_s=0.5)


@contextmanager
def line(server: RunningServer) -> Iterator[socket.socket]:
    parts = urlsplit(server.rest)
    with socket.create_connection((parts.hostname, parts.port), timeout=5) as found:
        yield found


def head(path: str = "/v1/models/m:predict", **headers: object) -> bytes:
    named = {"Host": "x", "Expect": "100-continue", "Content_Length": len(BODY), **headers}
    lines = [f"POST {path} HTTP/1.1", *(f"{k.replace('_', '-')}: {v}" for k, v in named.items())]
    return "\r\n".join([*lines, "", ""]).encode()


def status(answer: bytes) -> int:
    return int(answer.split()[1])


def test_a_client_that_waits_is_told_to_go_on_each_time(server: RunningServer) -> None:
    assert len(BODY) < LIMIT
    with line(server) as it:
        for _ in range(2):
            it.sendall(head())
            assert it.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
            it.sendall(BODY)
            answer = it.recv(4000)
            assert status(answer) == 200
            assert b"Connection: close" not in answer
            assert json.loads(answer.partition(b"\r\n\r\n")[2])["predictions"]


@pytest.mark.parametrize(
    ("request_head", "expected"),
    [
        (head(Content_Length=LIMIT + 1), 413),
        (head(path="/v1/models/m/nothing:predict"), 400),
        (head(path="/v1/models/m:classify"), 501),
        (head(path="/elsewhere"), 404),
        (head(Expect="a-miracle"), 417),
    ],
)
def test_what_is_refused_is_refused_instead_and_ends_the_connection(
    server: RunningServer, request_head: bytes, expected: int
) -> None:
    """The client then chooses whether a body follows: nothing can be read after it."""
    with line(server) as it:
        it.sendall(request_head)
        answer = it.recv(4000)
        assert status(answer) == expected
        assert b"Connection: close" in answer
        it.shutdown(socket.SHUT_WR)
        assert it.recv(100) == b""


def test_a_body_that_does_not_come_after_all_is_late(server: RunningServer) -> None:
    with line(server) as it:
        it.sendall(head())
        assert status(it.recv(100)) == 100
        assert status(it.recv(4000)) == 408


def test_an_older_client_is_told_nothing(server: RunningServer) -> None:
    with line(server) as it:
        it.sendall(head().replace(b"HTTP/1.1", b"HTTP/1.0") + BODY)
        assert status(it.recv(4000)) == 200
