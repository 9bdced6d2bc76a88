"""The HTTP endpoint of a watch: receives events, serves health checks and metrics."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from aiohttp import web

from pipelines.watch.events import BadEvent, buckets_of, concerns, is_signed, shows_secret
from pipelines.watch.metrics import Gauges
from pipelines.watch.state import WatchError
from serving.server.receiving import BodyRefused, end_unless_taken, receive
from serving.server.rest_connections import ConnectionServer, HttpConnection

T = TypeVar("T")

_START_S = 30.0
_STOP_S = 1.0


@dataclass(frozen=True)
class Bounds:
    """Resource limits for senders, with or without the secret.

    Attributes:
        max_held_bytes: limit for all events that arrive at a time; one event is always accepted.
    """

    header_timeout_s: float = 10.0
    body_timeout_s: float = 10.0
    idle_timeout_s: float = 75.0
    max_connections: int = 128
    max_events: int = 32
    max_held_bytes: int = 64 << 20


@dataclass(frozen=True)
class EndpointSettings:
    """Access rules of the endpoint, and the callback that wakes the watch.

    Attributes:
        wake: wakes the watch; called from another thread.
        uri: the source's.
        max_bytes: size limit of one event.
    """

    wake: Callable[[], None]
    uri: str
    secret: str | None
    check: Literal["bearer", "hmac"]
    max_bytes: int
    bounds: Bounds = Bounds()


class _Endpoint:
    """Request handler: dispatches by method and path."""

    def __init__(self, settings: EndpointSettings, gauges: Gauges) -> None:
        self._settings = settings
        self._gauges = gauges
        fitting = max(1, settings.bounds.max_held_bytes // settings.max_bytes)
        self._slots = asyncio.Semaphore(min(settings.bounds.max_events, fitting))

    async def handle(self, request: web.BaseRequest) -> web.Response:
        """Answers any request."""
        connection = request.protocol
        assert isinstance(connection, HttpConnection)
        connection.begin()
        try:
            response = await self._answer(request)
            end_unless_taken(request, response)
            return response
        finally:
            connection.end()

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        path = request.rel_url.raw_path
        if path == "/events":
            return await self._event(request) if request.method == "POST" else _text_response(405)
        pages = {"/healthz": self._healthy, "/readyz": self._ready, "/metrics": self._metrics}
        if path not in pages:
            return _text_response(404)
        return pages[path]() if request.method in ("GET", "HEAD") else _text_response(405)

    async def _event(self, request: web.BaseRequest) -> web.Response:
        settings = self._settings
        if not shows_secret(request.headers, settings.secret, settings.check):
            return _text_response(401, "the secret is missing or wrong")
        if "Content-Encoding" in request.headers:
            return _text_response(415, "send it uncompressed")
        if self._slots.locked():
            return _text_response(503, "busy; send it again")
        async with self._slots:
            try:
                body = await receive(
                    request, max_bytes=settings.max_bytes, timeout_s=settings.bounds.body_timeout_s
                )
            except BodyRefused as error:
                return _text_response(error.status, error.reason)
            return self._arrived(request, bytes(body))

    def _arrived(self, request: web.BaseRequest, body: bytes) -> web.Response:
        settings = self._settings
        if settings.check == "hmac" and not is_signed(request.headers, body, settings.secret):
            return _text_response(401, "the secret is missing or wrong")
        try:
            about = buckets_of(request.headers, body)
        except BadEvent as error:
            return _text_response(400, str(error))
        if concerns(about, settings.uri):
            settings.wake()
        return web.Response(status=204)

    def _healthy(self) -> web.Response:
        return _text_response(200, "ok")

    def _ready(self) -> web.Response:
        if not self._gauges.ready:
            return _text_response(503, "the last look failed, or there was none yet")
        return _text_response(200, "ok")

    def _metrics(self) -> web.Response:
        return web.Response(body=self._gauges.text(), content_type="text/plain", charset="utf-8")


def _text_response(status: int, text: str = "") -> web.Response:
    return web.Response(status=status, text=f"{text}\n" if text else None)


@contextmanager
def served(settings: EndpointSettings, gauges: Gauges, host: str, port: int) -> Iterator[int]:
    """Serves the endpoint in a separate thread and yields the port.

    Raises:
        WatchError: the port cannot be bound.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="endpoint", daemon=True)
    thread.start()

    def in_loop(work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, loop).result(_START_S)

    try:
        try:
            runner = in_loop(_listen(settings, gauges, host, port))
        except OSError as error:
            raise WatchError(f"watch.endpoint: {host}:{port}: {error.strerror}") from error
        try:
            yield runner.addresses[0][1]
        finally:
            in_loop(runner.cleanup())
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _listen(
    settings: EndpointSettings, gauges: Gauges, host: str, port: int
) -> web.ServerRunner:
    server = ConnectionServer(settings.bounds, _Endpoint(settings, gauges).handle)
    runner = web.ServerRunner(server, shutdown_timeout=_STOP_S)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError:
        await runner.cleanup()
        raise
    return runner
