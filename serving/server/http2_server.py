"""HTTP/2 server for gRPC's calls: libnghttp2 on the event loop's own sockets.

grpc.aio takes ten times the processor time for a request. libnghttp2 checks and limits what the
protocol has: frames, header blocks, streams, resets, flow control. The limits of connections, times
and memory are here and in `http2_calls`.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import grpc
import ngh2

from serving.server.config import STREAMS_PER_CONNECTION, ServerConfig
from serving.server.grpc_wire import Headers
from serving.server.http2_calls import Call
from serving.server.in_flight import BytesInFlight

_HEADER_BYTES = 1 << 14
_SETTINGS = {
    ngh2.Setting.MAX_CONCURRENT_STREAMS: STREAMS_PER_CONNECTION,
    ngh2.Setting.MAX_HEADER_LIST_SIZE: _HEADER_BYTES,
}
_PROTOCOL = ngh2.Configuration(
    max_inbound_header_list_size=_HEADER_BYTES, max_inbound_header_count=100
)
_WINDOW_BYTES = 1 << 20  # that a client may send ahead on a connection
_WRITE_BYTES = 1 << 16
_LINGER_S = 2.0  # for a client to take the last bytes of a connection

_NO_POST: Headers = ((b":status", b"405"),)
_NO_GRPC: Headers = ((b":status", b"415"),)


class Http2Server:
    """Serves methods by path, with handlers made for grpc.aio's server."""

    def __init__(
        self,
        config: ServerConfig,
        in_flight: BytesInFlight,
        methods: Mapping[str, grpc.RpcMethodHandler],
    ) -> None:
        self.config, self.in_flight = config, in_flight
        self.methods = {path.encode(): handler for path, handler in methods.items()}
        self.connections: set[_Connection] = set()
        self._listener: asyncio.Server | None = None

    async def start(self) -> int:
        """Listens and returns the port.

        Raises:
            OSError: the address cannot be had.
        """
        # SO_REUSEPORT shares connections between servers: only for processes of the same server.
        self._listener = await asyncio.get_running_loop().create_server(
            lambda: _Connection(self),
            self.config.host,
            self.config.grpc_port,
            reuse_port=True if self.config.supervisor_pid is not None else None,
        )
        port: int = self._listener.sockets[0].getsockname()[1]
        return port

    async def stop(self, grace_s: float) -> None:
        """Accepts no more connections, and ends all calls that take longer than `grace_s`."""
        if self._listener is None:
            return
        self._listener.close()
        for connection in list(self.connections):
            connection.leave()
        tasks = [task for it in self.connections for task in it.tasks]
        if tasks and grace_s:
            await asyncio.wait(tasks, timeout=grace_s)
        for connection in list(self.connections):
            connection.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._listener = None


class _Connection(asyncio.Protocol):
    """Connection of one client."""

    def __init__(self, server: Http2Server) -> None:
        self.config = server.config
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._http2 = ngh2.Connection(ngh2.Role.SERVER, _PROTOCOL)
        self._streams: dict[int, _Stream] = {}
        self._unread: list[int] = []  # answered streams to which the client may still send
        self._waiting: list[asyncio.Future[None]] = []  # for the next flush
        self._is_greeted = self._is_paused = self._is_closed = False
        self._idle_since = self._loop.time()
        self._look: asyncio.TimerHandle | None = None
        self._stuck: asyncio.TimerHandle | None = None

    @property
    def tasks(self) -> list["asyncio.Task[None]"]:
        """Tasks of the open calls."""
        return [stream.call.task for stream in self._streams.values() if stream.call]

    def connection_made(self, transport: Any) -> None:
        """Greets the client, unless there are too many."""
        self._transport: asyncio.Transport = transport
        if len(self._server.connections) >= self.config.max_connections:
            self._give_up()
            return
        self._server.connections.add(self)
        self._http2.initiate_connection(_SETTINGS)
        self._http2.set_local_window_size(_WINDOW_BYTES)
        self.flush()
        first = min(self.config.header_timeout_s, self.config.idle_timeout_s)
        self._look = self._loop.call_later(first, self._close_if_idle)

    def data_received(self, data: bytes) -> None:
        """Reads frames."""
        if self._is_closed:
            return
        try:
            self._http2.receive_data(data)
        except ngh2.NGH2Error:  # it breaks the protocol, or costs too much
            self._give_up()
            return
        self._take_events()
        self.flush()

    def pause_writing(self) -> None:
        """Keeps further data until the client has taken more, within its time limit."""
        self._is_paused = True
        self._stuck = self._loop.call_later(self.config.transfer_timeout_s, self._give_up)

    def resume_writing(self) -> None:
        """Sends what was kept."""
        self._is_paused = False
        if self._stuck is not None:
            self._stuck.cancel()
        self.flush()

    def connection_lost(self, error: Exception | None) -> None:
        """Ends all calls of the client."""
        self._is_closed = True
        self._server.connections.discard(self)
        for timer in (self._look, self._stuck):
            if timer is not None:
                timer.cancel()
        while self._streams:
            self._streams.popitem()[1].close()
        self._wake()

    def leave(self) -> None:
        """Asks the client to send its next calls elsewhere."""
        if not self._is_closed:
            self._http2.send_shutdown_notice()
            self.flush()

    def close(self) -> None:
        """Closes the connection after what has been sent; open calls fail."""
        if self._is_closed:
            return
        self._http2.terminate_connection()
        self.flush()
        self._end()

    def flush(self) -> None:
        """Sends what is ready, as far as the socket takes it."""
        try:
            while not (self._is_paused or self._is_closed):
                data = self._http2.data_to_send(_WRITE_BYTES)
                if data:
                    self._transport.write(data)
                elif not self._reset_unread():
                    break
        except ngh2.NGH2Error:
            self._give_up()
            return
        self._take_events()
        self._wake()
        if not (self._is_closed or self._http2.want_read or self._http2.want_write):
            self._end()

    def respond(self, number: int, headers: Headers, *, last: bool = False) -> None:
        """Prepares the headers of an answer; `last` if it has nothing else."""
        if self._has(number):
            with suppress(ngh2.NGH2Error):  # the client has just reset it
                self._http2.send_response(number, headers, end_stream=last)
                if last:
                    self._unread.append(number)

    def send(self, number: int, data: bytes, trailers: Headers) -> None:
        """Sends a part of an answer's body, and with trailers its end."""
        if self._has(number):
            with suppress(ngh2.NGH2Error):
                if data:
                    self._http2.send_data(number, data)
                if trailers:
                    self._http2.send_trailers(number, trailers)
                    self._unread.append(number)
            self.flush()

    def reset(self, number: int) -> None:
        """Ends a stream without an answer."""
        if self._has(number):
            with suppress(ngh2.NGH2Error):
                self._http2.reset_stream(number)
            self.flush()

    def has_taken(self, number: int) -> bool:
        """True if no part of a stream's answer waits for the client."""
        return not (self._has(number) and self._http2.queued_body_size(number))

    def flushed(self) -> asyncio.Future[None]:
        """Returns a future of the next flush."""
        future = self._loop.create_future()
        self._waiting.append(future)
        return future

    def _has(self, number: int) -> bool:
        return number in self._streams and not self._is_closed

    def _take_events(self) -> None:
        for event in self._http2.events():
            if isinstance(event, ngh2.DataReceived):
                if stream := self._streams.get(event.stream_id):
                    stream.receive(event.data, ended=event.end_stream)
            elif isinstance(event, ngh2.RequestReceived):
                self._begin(event.stream_id, dict(event.headers), event.end_stream)
            elif isinstance(event, ngh2.StreamClosed):
                if stream := self._streams.pop(event.stream_id, None):
                    stream.close()
                    self._idle_since = self._loop.time()
            elif isinstance(event, ngh2.TrailersReceived):
                if stream := self._streams.get(event.stream_id):
                    stream.receive(b"", ended=True)
            elif isinstance(event, ngh2.SettingsReceived):
                self._is_greeted = True

    def _begin(self, number: int, headers: dict[bytes, bytes], ended: bool) -> None:
        stream = self._streams[number] = _Stream(self, number)
        if headers.get(b":method") != b"POST":
            self.respond(number, _NO_POST, last=True)
        elif not headers.get(b"content-type", b"").startswith(b"application/grpc"):
            self.respond(number, _NO_GRPC, last=True)
        else:
            stream.call = Call(
                stream,
                self._server.methods.get(headers.get(b":path", b"")),
                headers,
                self.config.max_request_bytes,
                self._server.in_flight,
            )
        if ended:
            stream.receive(b"", ended=True)

    def _reset_unread(self) -> bool:
        """Tells clients to send no more on streams whose answer has gone out entirely."""
        if not self._unread:
            return False
        numbers, self._unread = self._unread, []
        found = False
        self._take_events()  # most are closed
        for number in numbers:
            if self._has(number) and self._http2.queued_body_size(number):
                self._unread.append(number)
            elif self._has(number):
                self._http2.reset_stream(number, 0)
                found = True
        return found

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    def _close_if_idle(self) -> None:
        config, now = self.config, self._loop.time()
        allowed = config.idle_timeout_s if self._is_greeted else config.header_timeout_s
        due = (now if self._streams else self._idle_since) + allowed
        if due <= now:
            self.close()
        else:
            self._look = self._loop.call_at(due, self._close_if_idle)

    def _end(self) -> None:
        self._is_closed = True
        self._transport.close()
        self._loop.call_later(_LINGER_S, self._transport.abort)

    def _give_up(self) -> None:
        self._is_closed = True
        self._transport.abort()


class _Stream:
    """One stream, as its call uses it."""

    def __init__(self, connection: _Connection, number: int) -> None:
        self._connection, self._number = connection, number
        self._is_open, self._has_answered = True, False
        self.call: Call | None = None

    def begin(self, headers: Headers) -> None:
        """Begins the answer, with the next `send`."""
        self._connection.respond(self._number, headers)

    def send(self, data: bytes, trailers: Headers = ()) -> None:
        """Sends a part of the answer; with trailers the last one."""
        self._has_answered = bool(trailers)
        self._connection.send(self._number, data, trailers)

    def refuse(self, headers: Headers) -> None:
        """Answers by headers alone."""
        self._has_answered = True
        self._connection.respond(self._number, headers, last=True)
        self._connection.flush()

    def reset(self) -> None:
        """Ends the stream without an answer, unless it has ended."""
        self._connection.reset(self._number)

    async def taken(self) -> None:
        """Waits until the client has taken what was sent, but not longer than it may take."""
        if self._is_taken:
            return
        try:
            async with asyncio.timeout(self._connection.config.transfer_timeout_s):
                while not self._is_taken:
                    await self._connection.flushed()
        except TimeoutError:
            self.reset()

    def receive(self, data: bytes, *, ended: bool) -> None:
        """Passes on data of the request; `ended` if it was the last."""
        if self.call is not None:
            self.call.receive(data, ended=ended)

    def close(self) -> None:
        """Ends the stream's call, unless it is answered."""
        self._is_open = False
        if self.call is not None and not self._has_answered:
            self.call.close()

    @property
    def _is_taken(self) -> bool:
        if self._has_answered:
            return not self._is_open
        return self._connection.has_taken(self._number)
