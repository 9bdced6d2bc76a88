"""The HTTP/2 server: its answers, its limits, and what is left of calls that end early."""

import asyncio
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import ngh2
import pytest
from grpc_health.v1 import health_pb2

from benchmarks.load import frame, literal_headers
from serving.server.config import ServerConfig
from serving.server.grpc_calls import Calls
from serving.server.grpc_wire import framed
from serving.server.http2_server import Http2Server
from serving.server.in_flight import BytesInFlight
from tests.serving.conftest import wait_until
from tests.serving.http2 import raw_client

MB = 1 << 20
ECHO, WAIT, FLOOD = "/test/Echo", "/test/Wait", "/test/Flood"
#: A method's message; `service` is any text.
Message = health_pb2.HealthCheckRequest


@dataclass
class Running:
    """A server of test methods."""

    port: int
    in_flight: BytesInFlight
    calls: Calls
    cancelled: list[str]

    def client(self) -> Any:
        return raw_client("127.0.0.1", self.port)

    def channel(self) -> Any:
        return grpc.insecure_channel(f"127.0.0.1:{self.port}")

    @property
    def is_at_rest(self) -> bool:
        return self.in_flight.held == 0 and not self.calls.requests._all


@contextmanager
def running(**settings: Any) -> Iterator[Running]:
    """Runs a server in a thread."""
    config = ServerConfig(model_base=Path(), grpc_port=0, **settings)
    in_flight = BytesInFlight(config.max_bytes_in_flight)
    calls = Calls(config, in_flight)
    cancelled: list[str] = []

    async def echo(request: Any, under_way: object) -> Any:
        return request

    async def wait(request: Any, under_way: object) -> Any:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(request.service)
            raise

    async def flood(request: Any, context: Any) -> None:
        for _ in range(100):
            await context.write(Message(service="x" * MB))

    methods = {
        ECHO: calls.handler(Message, echo),
        WAIT: calls.handler(Message, wait),
        FLOOD: calls.stream(Message, flood),
    }
    state: dict[str, Any] = {}
    started = threading.Event()

    async def main() -> None:
        server = Http2Server(config, in_flight, methods)
        state.update(port=await server.start(), loop=asyncio.get_running_loop())
        state["stop"] = asyncio.Event()
        watching = asyncio.create_task(calls.watch())
        started.set()
        await state["stop"].wait()
        watching.cancel()
        await server.stop(0.2)

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    assert started.wait(10)
    try:
        yield Running(state["port"], in_flight, calls, cancelled)
    finally:
        state["loop"].call_soon_threadsafe(state["stop"].set)
        thread.join(10)
        assert not thread.is_alive()


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running(max_request_bytes=4 * MB, max_bytes_in_flight=16 * MB) as started:
        yield started


def message(text: str) -> bytes:
    return framed(Message(service=text).SerializeToString())


def pump(client: Any) -> None:
    """Sends what the server's windows allow, until there is nothing left or an answer."""
    client.sock.settimeout(0.2)
    try:
        while client.http2.queued_body_size() and (data := client.sock.recv(1 << 16)):
            client.http2.receive_data(data)
            client.flush()
    except TimeoutError:
        pass
    client.sock.settimeout(10)


def test_an_answer_of_many_windows(server: Running) -> None:
    """Three megabytes in both directions, through windows of 64 KiB."""
    with server.channel() as channel:
        sent = Message(service="y" * 3 * MB).SerializeToString()
        options: Any = {"timeout": 20}
        assert channel.unary_unary(ECHO)(sent, **options) == sent
        gzipped = channel.unary_unary(ECHO)(sent, compression=grpc.Compression.Gzip, **options)
        assert gzipped == sent


def test_many_calls_on_one_connection(server: Running) -> None:
    with server.channel() as channel:
        echo = channel.unary_unary(ECHO)
        sent = [Message(service=str(number)).SerializeToString() for number in range(1000)]
        calls = [echo.future(content, timeout=20) for content in sent]
        assert [call.result() for call in calls] == sent


@pytest.mark.parametrize(
    ("path", "changed", "answer"),
    [
        ("/test/None", {}, {":status": "200", "grpc-status": "12"}),
        (ECHO, {":method": "GET"}, {":status": "405"}),
        (ECHO, {"content-type": "text/plain"}, {":status": "415"}),
        (ECHO, {}, {":status": "200", "grpc-status": "0"}),
        (ECHO, {"content_type": "application/grpc+proto"}, {"grpc-status": "0"}),
    ],
)
def test_what_is_no_call(
    server: Running, path: str, changed: dict[str, str], answer: dict[str, str]
) -> None:
    with server.client() as client:
        headers, _ = client.answer(client.call(path, message("a"), **changed))
        assert headers.items() >= answer.items()


def test_a_client_that_never_ends_its_request_is_answered(server: Running) -> None:
    with server.client() as client:
        headers, body = client.answer(client.call(ECHO, message("a"), end=False))
        assert (headers["grpc-status"], body) == ("0", message("a"))
    wait_until(lambda: server.is_at_rest)


def test_the_clients_deadline_holds_without_its_help(server: Running) -> None:
    with server.client() as client:
        began = time.monotonic()
        headers, _ = client.answer(client.call(WAIT, message("late"), grpc_timeout="200m"))
        assert headers["grpc-status"] == "4"
        assert 0.2 <= time.monotonic() - began < 5
    wait_until(lambda: "late" in server.cancelled)


def test_a_call_ends_with_its_client(server: Running) -> None:
    with server.client() as client:
        stream = client.call(WAIT, message("reset"))
        client.call(WAIT, message("gone"))
        time.sleep(0.2)
        client.http2.reset_stream(stream)
        client.flush()
        wait_until(lambda: server.cancelled[-1:] == ["reset"])
    wait_until(lambda: server.cancelled[-1:] == ["gone"])
    wait_until(lambda: server.is_at_rest)


def test_calls_that_are_reset_before_they_begin_leave_nothing(server: Running) -> None:
    """A thousand resets are suffered, and what follows breaks the connection."""
    headers = literal_headers(
        [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", ECHO),
            (":authority", "h"),
            ("content-type", "application/grpc"),
            ("grpc-timeout", "99999999H"),
        ]
    )
    half = (1000).to_bytes(5, "big") + b"half"
    reset = struct.pack(">I", 8)
    calls = (
        frame(1, 4, number, headers) + frame(0, 0, number, half) + frame(3, 0, number, reset)
        for number in range(1, 100_000, 2)
    )
    with server.client() as client, suppress(OSError):
        for call in calls:
            client.sock.sendall(call)
        pytest.fail("the connection outlived 50,000 resets")
    wait_until(lambda: server.is_at_rest)
    test_a_client_that_never_ends_its_request_is_answered(server)


def test_arriving_messages_count_as_bytes_in_flight(server: Running) -> None:
    """Of six messages of which 3 MB have arrived, 16 MB hold four, as the fifth leaves no room."""
    half = b"\x00" + (4 * MB).to_bytes(4, "big") + bytes(3 * MB)
    with ExitStack() as stack:
        for _ in range(6):
            client = stack.enter_context(server.client())
            client.call(ECHO, half, end=False)
            pump(client)
        headers, _body = client.answer(1)
        assert headers["grpc-status"] == "8"
        assert 6 * MB < server.in_flight.held <= 16 * MB
    wait_until(lambda: server.is_at_rest)


def test_a_message_beyond_the_limit_is_refused_by_its_announcement(server: Running) -> None:
    with server.client() as client:
        announced = b"\x00" + (4 * MB + 1).to_bytes(4, "big")
        headers, _ = client.answer(client.call(ECHO, announced, end=False))
        assert headers["grpc-status"] == "8"


def test_headers_beyond_the_limit(server: Running) -> None:
    with server.client() as client, pytest.raises((OSError, ngh2.NGH2Error)):  # noqa: PT012
        headers, _ = client.answer(client.call(ECHO, message("a"), x="h" * 30_000))
        raise ConnectionError(headers)


def test_connections_are_limited() -> None:
    with running(max_connections=2) as server:
        with server.client() as first, server.client() as second:
            for client in (first, second):
                client.answer(client.call(ECHO, message("a")))
            with server.client() as third, pytest.raises(OSError):  # noqa: PT011
                third.answer(third.call(ECHO, message("a")))
            assert second.answer(second.call(ECHO, message("b")))[1] == message("b")

        def is_served() -> bool:
            try:
                with server.client() as client:
                    return client.answer(client.call(ECHO, message("a")))[1] == message("a")
            except OSError:
                return False

        wait_until(is_served)


@pytest.mark.parametrize("sent", [b"", b"PRI * HTTP/2.0\r\n\r\nSM", b"GET / HTTP/1.1\r\n\r\n"])
def test_connections_that_do_not_begin_are_closed(sent: bytes) -> None:
    with (
        running(header_timeout_s=0.2) as server,
        socket.create_connection(("127.0.0.1", server.port), 10) as sock,
    ):
        sock.sendall(sent)
        while sock.recv(1000):
            pass


@pytest.mark.parametrize("reads", ["nothing", "no more than its window"])
def test_clients_that_take_no_answer_are_cut(reads: str) -> None:
    with running(transfer_timeout_s=0.5, max_bytes_in_flight=256 * MB) as server:
        with server.client() as client:
            if reads == "nothing":  # the socket fills up, whatever the windows allow
                client.http2.update_settings({ngh2.Setting.INITIAL_WINDOW_SIZE: 1 << 30})
                client.http2.set_local_window_size(1 << 30)
                client.flush()
            for _ in range(20):
                client.call(ECHO, message("z" * MB))
            client.call(FLOOD, message(""))
            wait_until(lambda: not server.is_at_rest)
            wait_until(lambda: server.is_at_rest)
        with server.client() as client:
            assert client.answer(client.call(ECHO, message("b")))[1] == message("b")


def test_open_calls_end_with_the_server() -> None:
    with running() as server, server.client() as client:
        client.call(WAIT, message("open"))
        wait_until(lambda: not server.is_at_rest)
    assert server.cancelled == ["open"]
    assert server.is_at_rest
