"""The HTTP side of a watch: events in, health and metrics out."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from aiohttp import web

from pipelines.watch.events import BadEvent, buckets_of, concerns, is_allowed
from pipelines.watch.metrics import Gauges
from pipelines.watch.state import WatchError

_BODY_S = 10.0  # a sender that is slower is let go
_AT_ONCE = 32
_START_S = 30.0


@dataclass(frozen=True)
class Door:
    """Who may wake the watch, and by what.

    Attributes:
        ring: wakes it; called from another thread.
        uri: of the source.
    """

    ring: Callable[[], None]
    uri: str
    secret: str | None
    check: Literal["bearer", "hmac"]
    max_bytes: int


def application(door: Door, gauges: Gauges) -> web.Application:
    """The routes."""
    slots = asyncio.Semaphore(_AT_ONCE)

    async def event(request: web.Request) -> web.Response:
        if slots.locked():
            raise web.HTTPServiceUnavailable(text="busy; send it again\n")
        async with slots:
            try:
                body = await asyncio.wait_for(request.read(), _BODY_S)
            except TimeoutError as error:
                raise web.HTTPRequestTimeout() from error
        if not is_allowed(request.headers, body, door.secret, door.check):
            raise web.HTTPUnauthorized(text="the secret is missing or wrong\n")
        try:
            about = buckets_of(request.headers, body)
        except BadEvent as error:
            raise web.HTTPBadRequest(text=f"{error}\n") from error
        if concerns(about, door.uri):
            door.ring()
        return web.Response(status=204)

    async def healthy(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def ready(_: web.Request) -> web.Response:
        if not gauges.ready:
            raise web.HTTPServiceUnavailable(text="the last look failed, or there was none yet\n")
        return web.Response(text="ok\n")

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=gauges.text(), content_type="text/plain", charset="utf-8")

    app = web.Application(client_max_size=door.max_bytes)
    app.router.add_post("/events", event)
    app.router.add_get("/healthz", healthy)
    app.router.add_get("/readyz", ready)
    app.router.add_get("/metrics", metrics)
    return app


@contextmanager
def served(door: Door, gauges: Gauges, host: str, port: int) -> Iterator[int]:
    """Serves in a thread of its own; yields the port.

    Raises:
        WatchError: the port cannot be had.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="endpoint", daemon=True)
    thread.start()
    runner = web.AppRunner(application(door, gauges), access_log=None, handle_signals=False)
    try:
        start = asyncio.run_coroutine_threadsafe(_listen(runner, host, port), loop)
        try:
            bound = start.result(_START_S)
        except OSError as error:
            raise WatchError(f"watch.endpoint: {host}:{port}: {error.strerror}") from error
        yield bound
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(_START_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _listen(runner: web.AppRunner, host: str, port: int) -> int:
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    found: int = runner.addresses[0][1]
    return found
