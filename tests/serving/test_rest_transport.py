"""Kept connections of the REST client: what a server closes is not a failure of the server."""

import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from serving.client import PredictClient, ServerTimeout, ServerUnavailable, connect
from serving.client.http_pool import open_pool, request
from tests.loopback import QuietHandler, http_server, make_certificate, tls_of

STATUS = {
    "model_version_status": [
        {"version": "3", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    ]
}


class Server(QuietHandler):
    """Answers status requests, and says how many came over which connection."""

    def setup(self) -> None:
        self.sockets.append(self.request)
        super().setup()

    @classmethod
    def end_connections(cls) -> None:
        """Closes connections like the end of the server's process."""
        for connection in cls.sockets:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def do_GET(self) -> None:
        self.asked[self.client_address] += 1
        self.together()
        if self.lets_go(self.asked[self.client_address]):
            self.close_connection = True
            return
        body = json.dumps(STATUS).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    asked: Counter[object]
    sockets: list[socket.socket]
    lets_go: Callable[[int], bool]
    together: Callable[[], object]


def server(
    lets_go: Callable[[int], bool] = lambda count: False,
    together: Callable[[], object] = lambda: None,
    idle_s: float | None = None,
) -> type[Server]:
    """A kind of server.

    Args:
        lets_go: whether it closes a connection instead of answering its nth request.
        together: called before each answer.
        idle_s: after so long without a request it closes a connection.
    """
    members = {
        "asked": Counter(),
        "sockets": [],
        "timeout": idle_s,
        "lets_go": staticmethod(lets_go),
        "together": staticmethod(together),
    }
    return type("Handler", (Server,), members)


def without_retries(address: str) -> PredictClient:
    return connect(address, model="m", retries=0, timeout_s=5)


def test_four_idle_connections_that_the_server_closed_are_dropped() -> None:
    barrier = threading.Barrier(4)
    waits = [True]
    kind = server(together=lambda: barrier.wait(5) if waits[0] else None, idle_s=0.1)
    with http_server(kind) as address, without_retries(address) as client:
        with ThreadPoolExecutor(4) as pool:
            for answer in [pool.submit(client.served_version) for _ in range(4)]:
                assert answer.result() == 3
        assert len(kind.asked) == 4, "each had a connection of its own"
        waits[0] = False
        time.sleep(0.3)
        assert client.served_version() == 3
        assert client.served_version() == 3
        assert sorted(kind.asked.values()) == [1, 1, 1, 1, 2]


def test_a_connection_closed_while_the_request_is_on_its_way_is_replaced() -> None:
    kind = server(lets_go=lambda count: count == 2)
    with http_server(kind) as address, without_retries(address) as client:
        for _ in range(3):
            assert client.served_version() == 3
    assert sorted(kind.asked.values()) == [1, 2, 2]


def test_a_server_that_never_answers_is_asked_once() -> None:
    kind = server(lets_go=lambda count: True)
    with (
        http_server(kind) as address,
        without_retries(address) as client,
        pytest.raises(ServerUnavailable),
    ):
        client.served_version()
    assert list(kind.asked.values()) == [1]


def test_many_requests_go_over_one_connection() -> None:
    kind = server()
    with http_server(kind) as address, without_retries(address) as client:
        for _ in range(50):
            assert client.served_version() == 3
    assert list(kind.asked.values()) == [50]


def test_a_server_that_restarts_between_requests_fails_none() -> None:
    kind = server()
    with http_server(kind) as address, without_retries(address) as client:
        assert client.served_version() == 3
        kind.end_connections()
        port = int(address.rpartition(":")[2])
    for _ in range(3):
        with http_server(kind, port=port):
            assert client.served_version() == 3
            assert client.served_version() == 3
            kind.end_connections()
    assert sorted(kind.asked.values()) == [1, 2, 2, 2], "a connection for each life of the server"


def test_threads_share_a_bounded_number_of_connections() -> None:
    kind = server(together=lambda: time.sleep(0.02))
    with http_server(kind) as address:
        pool = open_pool(address, max_connections=2)
        with ThreadPoolExecutor(8) as threads:
            answers = [
                threads.submit(request, pool, "GET", address, None, {}, 5.0) for _ in range(24)
            ]
        assert {answer.result().status for answer in answers} == {200}
        pool.clear()
    assert sum(kind.asked.values()) == 24
    assert len(kind.asked) <= 2


def test_a_certificate_of_ones_own_authority(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = make_certificate(tmp_path / "server.pem")
    with http_server(server(), tls_of(certificate)) as address:
        with without_retries(address) as client, pytest.raises(ServerUnavailable, match="verify"):
            client.served_version()
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        with without_retries(address) as client:
            assert client.served_version() == 3


def test_the_proxy_of_the_environment_is_used_but_not_for_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kind = server()
    with http_server(kind) as proxy, http_server(server()) as here:
        monkeypatch.setenv("http_proxy", proxy)
        monkeypatch.setenv("no_proxy", "")
        with without_retries("http://models.example:8501") as client:
            assert client.served_version() == 3
        assert sum(kind.asked.values()) == 1
        with without_retries(here) as client:
            assert client.served_version() == 3
        assert sum(kind.asked.values()) == 1
        monkeypatch.setenv("no_proxy", ".example")
        assert open_pool("http://models.example:8501").proxy is None


def test_a_timeout_is_not_tried_again() -> None:
    slow = [False]
    kind = server(together=lambda: time.sleep(0.4) if slow[0] else None)
    with http_server(kind) as address, connect(address, model="m", timeout_s=0.1) as client:
        assert client.served_version() == 3
        slow[0] = True
        with pytest.raises(ServerTimeout):
            client.served_version()
        slow[0] = False
    assert list(kind.asked.values()) == [2]
