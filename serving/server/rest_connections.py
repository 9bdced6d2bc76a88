"""Connections of the REST port: limited in number, and closed if no request comes in time."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from itertools import chain
from typing import Any, Protocol

from aiohttp import web

logger = logging.getLogger(__name__)

_LINGER_S = 2.0  # time for which a refused body is read on, so that the client sees the refusal


def error_response(status: int, message: str) -> web.Response:
    """Returns an error in TensorFlow Serving's form."""
    body = json.dumps({"error": message}).encode()
    return web.Response(body=body, status=status, content_type="application/json")


class ConnectionLimits(Protocol):
    """Limits: seconds that a connection may be idle and a request's head may take; connections.

    `ServerConfig` is one.
    """

    @property
    def idle_timeout_s(self) -> float: ...

    @property
    def header_timeout_s(self) -> float: ...

    @property
    def max_connections(self) -> int: ...


class HttpConnection(web.RequestHandler):
    """Connection of one client, with a time limit while it waits for a request."""

    def __init__(
        self, server: "ConnectionServer", limits: ConnectionLimits, loop: asyncio.AbstractEventLoop
    ) -> None:
        super().__init__(
            server,
            loop=loop,
            access_log=None,  # type: ignore[arg-type]
            keepalive_timeout=limits.idle_timeout_s,
            lingering_time=_LINGER_S,
        )
        self._connections = server
        self._head_timeout_s = limits.header_timeout_s
        self._event_loop = loop
        self._head_timer: asyncio.TimerHandle | None = None
        self._busy = False

    def begin(self) -> None:
        """Marks that a request's head has arrived."""
        self._busy = True
        self._stop_timer()
        self._connections.busy(self)

    def end(self) -> None:
        """Marks that the request is answered."""
        self._busy = False
        self._connections.idle(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Starts the timer: the client has not sent a byte yet."""
        super().connection_made(transport)
        self._start_timer()
        self._connections.opened(self)

    def data_received(self, data: bytes) -> None:
        """Receives a part of a request."""
        super().data_received(data)
        if data and not self._busy and self._head_timer is None:
            self._start_timer()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Cleans up after the client has disconnected."""
        self._stop_timer()
        self._connections.closed(self)
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answers malformed HTTP with the same error form as everything else."""
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            logger.error("a request failed", exc_info=exc)
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has begun already")
        response = error_response(status, message or HTTPStatus(status).phrase)
        response.force_close()
        return response

    def log_exception(self, *args: Any, **options: Any) -> None:
        """Logs an error, except on reading the rest of a refused body."""
        if not isinstance(options.get("exc_info"), web.RequestPayloadError):
            super().log_exception(*args, **options)

    def _start_timer(self) -> None:
        self._head_timer = self._event_loop.call_later(self._head_timeout_s, self._give_up)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _give_up(self) -> None:
        self._head_timer = None
        if not self._busy:
            self.force_close()


class ConnectionServer(web.Server):
    """Makes the connections and limits their number.

    A new connection replaces the oldest one that has sent no request, else the one idle for
    longest.
    """

    def __init__(
        self,
        limits: ConnectionLimits,
        handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
        **options: Any,
    ) -> None:
        super().__init__(handler, **options)
        self._limits = limits
        self._open: set[HttpConnection] = set()
        self._silent: dict[HttpConnection, None] = {}  # oldest first
        self._idle: dict[HttpConnection, None] = {}  # in the order in which they became idle

    def __call__(self) -> HttpConnection:
        """Returns a connection for asyncio."""
        return HttpConnection(self, self._limits, asyncio.get_running_loop())

    def opened(self, connection: HttpConnection) -> None:
        """Registers a connection."""
        self._open.add(connection)
        if len(self._open) > self._limits.max_connections:
            # When all are busy, close the new one.
            next(chain(self._silent, self._idle), connection).force_close()
        self._silent[connection] = None

    def busy(self, connection: HttpConnection) -> None:
        """Marks a connection as busy."""
        self._silent.pop(connection, None)
        self._idle.pop(connection, None)

    def idle(self, connection: HttpConnection) -> None:
        """Marks a connection as idle."""
        if connection in self._open:
            self._idle[connection] = None

    def closed(self, connection: HttpConnection) -> None:
        """Removes a connection."""
        self._open.discard(connection)
        self.busy(connection)
