"""Calls of gRPC over HTTP/2 connections, as far as `grpc_calls` needs grpc.aio's server."""

import asyncio
import logging
from typing import Any, Never, Protocol

import grpc

from components.raster.errors import PortableError
from serving.server.errors import Code, ServingError
from serving.server.grpc_wire import (
    ENCODINGS,
    FirstMessage,
    Headers,
    decompressed,
    framed,
    status_headers,
    timeout_s,
)
from serving.server.in_flight import BytesInFlight, ReservedBytes

logger = logging.getLogger(__name__)

_HEADERS: Headers = (
    (b":status", b"200"),
    (b"content-type", b"application/grpc"),
    (b"grpc-accept-encoding", ENCODINGS),
)
_OK = status_headers(0, "")
_AT_ONCE_BYTES = 1 << 16  # of a message that is decompressed in the event loop's own thread


class Stream(Protocol):
    """Server side of one stream of HTTP/2."""

    def begin(self, headers: Headers) -> None:
        """Begins the answer, with the next `send`."""

    def send(self, data: bytes, trailers: Headers = ()) -> None:
        """Sends a part of the answer; with trailers the last one."""

    def refuse(self, headers: Headers) -> None:
        """Answers by headers alone."""

    def reset(self) -> None:
        """Ends the stream without an answer, unless it has ended."""

    async def taken(self) -> None:
        """Waits until the client has taken what was sent, but not longer than it may take."""


class _Aborted(PortableError):
    """End of a call with a status."""

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        super().__init__(details)
        self.code, self.details = code, details


class Call:
    """One call. To its handler it is the context, with the methods of grpc.aio's that we use."""

    def __init__(
        self,
        stream: Stream,
        handler: grpc.RpcMethodHandler | None,
        headers: dict[bytes, bytes],
        max_bytes: int,
        in_flight: BytesInFlight,
    ) -> None:
        self._stream, self._handler = stream, handler
        self._encoding = headers.get(b"grpc-encoding", b"")
        self._max_bytes, self._in_flight = max_bytes, in_flight
        self._message = FirstMessage(max_bytes)
        self._held: ReservedBytes | None = None  # only of messages that arrive in parts
        self._arrived = self._ended = self._has_begun = self._is_late = False
        self._error: ServingError | None = None
        self._arrival: asyncio.Future[None] | None = None
        loop = asyncio.get_running_loop()
        self.task = loop.create_task(self._serve())
        seconds = timeout_s(headers.get(b"grpc-timeout", b""))
        self._deadline = None if seconds is None else loop.call_later(seconds, self._expire)

    def receive(self, data: bytes, *, ended: bool) -> None:
        """Adds data of the request; `ended` if it was the last."""
        if not (self._arrived or self._error or self._ended):
            try:
                self._arrived = self._message.add(data)
                if not self._arrived:
                    self._held = self._held or self._in_flight.begin()
                    self._held.reach(self._message.held_bytes)
            except ServingError as error:
                self._error = error
        self._ended = self._ended or ended
        if self._arrival is not None and not self._arrival.done() and self._is_settled:
            self._arrival.set_result(None)

    def close(self) -> None:
        """Ends the call: the client has gone."""
        self.task.cancel()
        self._release()  # a task that was cancelled before its first step never ran

    async def read(self) -> Any:
        """Returns the message, or grpc.aio.EOF if the request ended without one.

        Raises:
            ServingError: it is too large, or cannot be decompressed.
        """
        if not self._is_settled:
            self._arrival = asyncio.get_running_loop().create_future()
            await self._arrival
        if self._error is not None:
            raise self._error
        if not self._arrived:
            return grpc.aio.EOF
        is_compressed = self._message.is_compressed
        content = self._message.take()
        self._release_bytes()
        if not is_compressed:
            return content
        if len(content) <= _AT_ONCE_BYTES:
            return decompressed(content, self._encoding, self._max_bytes)
        return await asyncio.to_thread(decompressed, content, self._encoding, self._max_bytes)

    async def write(self, message: Any) -> None:
        """Sends one message of a stream, once the client has taken those before."""
        assert self._handler is not None
        assert self._handler.response_serializer is not None
        await self._stream.taken()
        self._send(self._handler.response_serializer(message))

    async def abort(self, code: grpc.StatusCode, details: str = "") -> Never:
        """Ends the call with a status, by an exception."""
        raise _Aborted(code, details)

    @property
    def _is_settled(self) -> bool:
        """True once nothing more of the request is needed."""
        return self._arrived or self._ended or self._error is not None

    async def _serve(self) -> None:
        try:
            await self._answer()
            await self._stream.taken()
        except asyncio.CancelledError:
            self._stream.reset()
            raise

    async def _answer(self) -> None:
        try:
            await self._handle()
        except _Aborted as end:
            self._end(end.code.value[0], end.details)
        except asyncio.CancelledError:
            if not self._is_late:
                raise
            self._end(Code.DEADLINE_EXCEEDED.number, "Deadline Exceeded")
        except Exception as error:
            logger.error("a call failed", exc_info=error)
            self._end(Code.UNKNOWN.number, f"Unexpected {type(error).__name__}")
        finally:
            self._release()

    async def _handle(self) -> None:
        if self._handler is None:
            raise _Aborted(grpc.StatusCode.UNIMPLEMENTED, "Method not found!")
        if self._handler.response_streaming:
            await self._handler.stream_stream(self, self)
            self._end(Code.OK.number, "")
        else:
            self._send(await self._handler.stream_unary(self, self), _OK)

    def _send(self, message: bytes, trailers: Headers = ()) -> None:
        if not self._has_begun:
            self._has_begun = True
            self._stream.begin(_HEADERS)
        self._stream.send(framed(message), trailers)

    def _end(self, code: int, details: str) -> None:
        status = status_headers(code, details)
        if self._has_begun:
            self._stream.send(b"", status)
        else:
            self._stream.refuse((*_HEADERS, *status))

    def _expire(self) -> None:
        self._is_late = True
        self.task.cancel()

    def _release(self) -> None:
        """Ends what would outlive the call: what else is received of it is dropped."""
        self._ended = True
        self._message = FirstMessage(0)
        self._release_bytes()
        if self._deadline is not None:
            self._deadline.cancel()

    def _release_bytes(self) -> None:
        if self._held is not None:
            self._held.release()
            self._held = None
