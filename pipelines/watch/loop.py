"""The loop of a watch: runs steps until it is stopped, woken by time or by an event."""

import os
import select
import time
from collections.abc import Callable
from contextlib import suppress

from pipelines.config.watch import RetryConfig
from pipelines.watch import transitions
from pipelines.watch.backoff import delay
from pipelines.watch.state import WatchState, explain
from pipelines.watch.watcher import Watcher

#: Minimum seconds between looks, however many events arrive.
PAUSE_S = 1.0


class Waker:
    """Wakes a loop, to look for new data or to stop.

    Uses a pipe, since a signal handler could deadlock on the lock of a `threading.Event`.
    """

    def __init__(self, pause_s: float = PAUSE_S) -> None:
        self._read_end, self._write_end = os.pipe()
        os.set_blocking(self._read_end, False)
        os.set_blocking(self._write_end, False)
        self._pause_s = pause_s
        self.stopping = False

    def wake(self) -> None:
        """Wakes the loop to look for new data; safe in any thread and in signal handlers."""
        with suppress(BlockingIOError):  # the pipe is full: a wake-up is pending anyway
            os.write(self._write_end, b"!")

    def stop(self) -> None:
        """Ends the loop after its current step."""
        self.stopping = True
        self.wake()

    def wait(self, seconds: float) -> bool:
        """Waits; returns True if woken before the time was up. Rings in a row count once."""
        woken = bool(select.select([self._read_end], [], [], seconds)[0])
        if woken and not self.stopping:
            time.sleep(self._pause_s)
        with suppress(BlockingIOError):
            while os.read(self._read_end, 4096):
                pass
        return woken


class WatchLoop:
    """Runs one watcher's steps. Reports a failed step and repeats it after a growing delay."""

    def __init__(
        self,
        watcher: Watcher,
        poll_s: float,
        run_poll_s: float,
        waker: Waker,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._watcher, self._waker, self._monotonic = watcher, waker, monotonic
        self._poll_s, self._run_poll_s = poll_s, run_poll_s
        self._failures = 0
        self._look_at = 0.0

    def run(self) -> None:
        """Runs steps until the waker's `stop`."""
        self._look_at = self._monotonic()
        while not self._waker.stopping:
            wait = self._step()
            woken = self._waker.wait(wait)
            if woken and not self._waker.stopping:
                self._look_at = self._monotonic()

    def _step(self) -> float:
        """Runs one step and returns the seconds to wait after it."""
        due = self._monotonic() >= self._look_at
        try:
            state = self._watcher.step(look=due)
        except Exception as error:  # of any kind: the next step may succeed
            return self._failed(explain(error))
        self._failures = 0
        now = self._watcher.clock()
        if due:
            self._look_at = self._monotonic() + self._until_look(state, now)
        until_look = self._look_at - self._monotonic()
        act = transitions.seconds_to_act(state, now, self._run_poll_s)
        return max(PAUSE_S, min(until_look, until_look if act is None else act))

    def _until_look(self, state: WatchState, now: float) -> float:
        settle = transitions.seconds_to_settle(state, now, self._watcher.rules)
        return self._poll_s if settle is None else min(self._poll_s, settle)

    def _failed(self, reason: str) -> float:
        self._failures += 1
        retry = RetryConfig(first_s=min(5.0, self._poll_s), max_s=self._poll_s)
        wait = delay(retry, self._failures, self._watcher.draw)
        self._watcher.report.event("failed", error=reason, again_in_s=round(wait))
        self._look_at = self._monotonic() + wait
        return wait
