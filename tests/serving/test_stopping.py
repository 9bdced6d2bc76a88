"""SIGTERM: requests that have reached the server are answered, others must retry, in time."""

import base64
import http.client
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import grpc
import pytest

from serving.client import ServerUnavailable, connect
from serving.server.process import ServerProcess, serve_in_subprocess
from tests.serving.conftest import copy_version
from tests.serving.models import RED

BODY = json.dumps({"instances": [{"b64": base64.b64encode(RED).decode()}]}).encode()
HEAD = (
    f"POST /v1/models/model:predict HTTP/1.1\r\nHost: h\r\nContent-Length: {len(BODY)}\r\n\r\n"
).encode()


@contextmanager
def stopping(base: Path, **settings: object) -> Iterator[tuple[ServerProcess, Callable[[], float]]]:
    """A server, and what stops it: seconds until its process is gone."""
    with serve_in_subprocess(base, settings=settings) as server:

        def stop() -> float:
            began = time.monotonic()
            os.kill(server.pid, signal.SIGTERM)
            while Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
                assert time.monotonic() - began < 30
                time.sleep(0.02)
            return time.monotonic() - began

        yield server, stop


def port(server: ServerProcess) -> tuple[str, int]:
    parts = urlsplit(server.rest)
    assert parts.port
    return "127.0.0.1", parts.port


@pytest.mark.slow
def test_nothing_that_was_sent_is_lost_and_slow_senders_do_not_hold_the_stop(
    colours: Path, base: Path
) -> None:
    copy_version(colours, base, 3)
    with stopping(base, drain_timeout_s=20, poll_interval_s=0.1) as (server, stop):
        kept = [http.client.HTTPConnection(*port(server), timeout=30) for _ in range(10)]
        for connection in kept:
            connection.request("POST", "/v1/models/model:predict", BODY)
            assert connection.getresponse().read()
        slow = [socket.create_connection(port(server)) for _ in range(5)]
        for sock in slow:
            sock.sendall(HEAD + BODY[:10])
        watch = grpc.insecure_channel(server.grpc.removeprefix("grpc://"))
        health = watch.unary_stream("/grpc.health.v1.Health/Watch")(b"")
        next(iter(health))
        outcomes: list[Any] = []
        threads = [threading.Thread(target=ask, args=(at, outcomes)) for at in addresses(server)]
        for thread in threads:
            thread.start()
        time.sleep(0.5)
        # New connections and kept ones, whose requests lie in the sockets when the signal comes.
        fresh = [socket.create_connection(port(server)) for _ in range(10)]
        for sock in fresh:
            sock.sendall(HEAD + BODY)
        for connection in kept:
            connection.request("POST", "/v1/models/model:predict", BODY)
        took_s = stop()
        for thread in threads:
            thread.join(30)
        answers = [sock.recv(100_000) for sock in fresh]
        assert [answer.split()[1] for answer in answers] == [b"200"] * 10
        assert [connection.getresponse().status for connection in kept] == [200] * 10
        refused = [sock.recv(100_000) for sock in slow]
        assert [answer.split()[1] for answer in refused] == [b"503"] * 5
        assert b'{"error": "The server is stopping. Send the request again."}' in refused[0]
        watch.close()
    assert outcomes.count("red") > 10
    errors = [it for it in outcomes if it != "red"]
    assert {type(error) for error in errors} <= {ServerUnavailable}, errors
    assert took_s < 8  # and not the twenty seconds that requests might have


def addresses(server: ServerProcess) -> list[str]:
    return [server.grpc, server.rest, server.grpc, server.rest]


def ask(at: str, outcomes: list[Any]) -> None:
    """Sends requests without retries until the server is gone; the last outcome is an error."""
    with connect(at, retries=0) as client:
        while True:
            try:
                outcomes.append(client.predict([RED])[0].class_name)
            except Exception as error:
                outcomes.append(error)
                return


@pytest.mark.slow
def test_requests_that_take_too_long_are_told_to_try_again(base: Path, sleeper: Path) -> None:
    copy_version(sleeper, base, 3)
    with stopping(base, drain_timeout_s=1) as (server, stop):
        outcomes: list[Any] = []
        threads = [
            threading.Thread(target=ask, args=(at, outcomes)) for at in (server.grpc, server.rest)
        ]
        for thread in threads:
            thread.start()
        time.sleep(1.0)
        assert stop() < 8
        for thread in threads:
            thread.join(30)
    assert [type(error) for error in outcomes] == [ServerUnavailable] * 2
    assert all("The server is stopping" in str(error) for error in outcomes)


@pytest.fixture
def sleeper(tmp_path: Path) -> Path:
    """A SavedModel that takes a minute for a request."""
    from tests.serving.models import save_slow

    return save_slow(tmp_path / "slow")
