"""Requests in progress, of either protocol, and their end when the server stops."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum, auto

from serving.server.errors import Code, ServingError
from serving.server.in_flight import BytesInFlight

_ARRIVAL_S = 2.0  # a stopping server waits this long for requests that are still arriving
_LOOK_EVERY_S = 0.02


#: Time in which a stopping server accepts requests that are already in the socket buffers.
SETTLE_S = 0.1


@dataclass(frozen=True)
class Endpoint:
    """Server side of one protocol, with its shutdown."""

    port: int
    drain: Callable[[], Awaitable[None]]


class RequestStage(Enum):
    """Progress of a request."""

    ARRIVING = auto()
    WORKING = auto()
    ANSWERING = auto()


class Request:
    """One request: the task that serves it, and the bytes that it holds."""

    def __init__(self, task: "asyncio.Task[object]", in_flight: BytesInFlight) -> None:
        self.held = in_flight.begin()
        self.stage = RequestStage.ARRIVING
        self.looks = 0  # looks of a watch in which the request was in this stage
        self._task = task
        self._cut: ServingError | None = None

    def enter(self, stage: RequestStage) -> None:
        """Moves the request to another stage."""
        self.stage = stage
        self.looks = 0

    def cut(self, error: ServingError) -> None:
        """Cancels the request now; inside its `with` block, the client gets this error."""
        self._cut = error
        self._task.cancel()

    def __enter__(self) -> None:
        """Begins a block in which the client gets the ServingError of `cut`."""

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if self._cut is not None and isinstance(error, asyncio.CancelledError):
            self._task.uncancel()
            raise self._cut from None


class Requests:
    """All requests of one protocol."""

    def __init__(self, in_flight: BytesInFlight) -> None:
        self._in_flight = in_flight
        self._all: dict[asyncio.Task[object], Request] = {}
        self._leaving = False

    def leave(self) -> None:
        """Marks the server as stopping."""
        self._leaving = True

    @property
    def leaving(self) -> bool:
        """True while the server is stopping."""
        return self._leaving

    def check_open(self) -> None:
        """Refuses requests while the server is stopping.

        Raises:
            ServingError: UNAVAILABLE.
        """
        if self._leaving:
            raise _stopping()

    def begin(self) -> Request:
        """Registers a request of the current task; `end` it, or let the task's end do so."""
        task = asyncio.current_task()
        assert task is not None
        self._all[task] = Request(task, self._in_flight)
        return self._all[task]

    def end(self, task: "asyncio.Task[object] | None") -> None:
        """Removes the task's request and releases its bytes; does nothing the second time."""
        request = self._all.pop(task, None) if task is not None else None
        if request is not None:
            request.held.release()

    def at(self, stage: RequestStage) -> list[Request]:
        """Returns the requests in one stage, oldest first."""
        return [request for request in self._all.values() if request.stage is stage]

    async def drain(self, timeout_s: float) -> None:
        """Waits until all requests are answered.

        Cuts those that do not arrive soon, and those that remain after `timeout_s`.
        """
        now = asyncio.get_running_loop().time
        deadline = now() + timeout_s
        await _until(lambda: not self.at(RequestStage.ARRIVING), min(deadline, now() + _ARRIVAL_S))
        for request in self.at(RequestStage.ARRIVING):
            request.cut(_stopping())
        await _until(lambda: not self._all, deadline)
        for request in list(self._all.values()):
            request.cut(_stopping())
        await _until(lambda: not self._all, now() + _ARRIVAL_S)


def _stopping() -> ServingError:
    return ServingError(Code.UNAVAILABLE, "The server is stopping. Send the request again.")


async def _until(condition: Callable[[], bool], deadline: float) -> None:
    now = asyncio.get_running_loop().time
    while not condition() and now() < deadline:
        await asyncio.sleep(_LOOK_EVERY_S)
