"""The requests under way, of either protocol, and how they end when the server stops."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum, auto

from serving.server.errors import Code, ServingError
from serving.server.in_flight import BytesInFlight

_ARRIVAL_S = 2.0  # what has not arrived by then, when the server stops, does not hold it any more
_LOOK_EVERY_S = 0.02


#: What lies in the sockets already when the server stops has this long to be taken in.
SETTLE_S = 0.1


@dataclass(frozen=True)
class Endpoint:
    """Where one protocol is served, and how it comes to its end."""

    port: int
    drain: Callable[[], Awaitable[None]]


class Stage(Enum):
    """How far a request is."""

    ARRIVING = auto()
    WORKING = auto()
    ANSWERING = auto()


class Request:
    """One request: the task that serves it, and what it holds."""

    def __init__(self, task: "asyncio.Task[object]", in_flight: BytesInFlight) -> None:
        self.held = in_flight.begin()
        self.stage = Stage.ARRIVING
        self.looks = 0  # of a watch that saw it in this stage
        self._task = task
        self._cut: ServingError | None = None

    def enter(self, stage: Stage) -> None:
        """Go on to another stage."""
        self.stage = stage
        self.looks = 0

    def cut(self, error: ServingError) -> None:
        """End it now; inside `answered` it becomes the error that the client is told."""
        self._cut = error
        self._task.cancel()

    @contextmanager
    def answered(self) -> Iterator[None]:
        """Being cut inside this block is an error for the client.

        Raises:
            ServingError: the one that it was cut with.
        """
        try:
            yield
        except asyncio.CancelledError:
            if self._cut is None:
                raise
            self._task.uncancel()
            raise self._cut from None


class Requests:
    """All requests of one protocol."""

    def __init__(self, in_flight: BytesInFlight) -> None:
        self._in_flight = in_flight
        self._all: dict[asyncio.Task[object], Request] = {}
        self._leaving = False

    def leave(self) -> None:
        """From here on the server is stopping."""
        self._leaving = True

    @property
    def leaving(self) -> bool:
        """Whether the server is stopping."""
        return self._leaving

    def check_open(self) -> None:
        """Refuse what comes when the server is stopping.

        Raises:
            ServingError: UNAVAILABLE.
        """
        if self._leaving:
            raise _stopping()

    def begin(self) -> Request:
        """A request that this task serves; `end` it, or let the task's own end do it."""
        task = asyncio.current_task()
        assert task is not None
        self._all[task] = Request(task, self._in_flight)
        return self._all[task]

    def end(self, task: "asyncio.Task[object] | None") -> None:
        """The task's request is answered, or gone; nothing happens when it has ended before."""
        request = self._all.pop(task, None) if task is not None else None
        if request is not None:
            request.held.release()

    def at(self, stage: Stage) -> list[Request]:
        """The requests in one stage, those that began first in front."""
        return [request for request in self._all.values() if request.stage is stage]

    async def drain(self, timeout_s: float) -> None:
        """Wait until all are answered.

        Those that do not arrive soon, and all that are left after `timeout_s`, are cut.
        """
        now = asyncio.get_running_loop().time
        deadline = now() + timeout_s
        await _until(lambda: not self.at(Stage.ARRIVING), min(deadline, now() + _ARRIVAL_S))
        for request in self.at(Stage.ARRIVING):
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
