"""Steps, one after another, until told to stop; woken by time or by an event."""

import threading
import time
from collections.abc import Callable

from components.raster.errors import SkymillError
from pipelines.watch import machine
from pipelines.watch.backoff import RetryConfig, delay
from pipelines.watch.state import State
from pipelines.watch.watcher import Watcher

#: However many events come, looks are this far apart.
PAUSE_S = 1.0


class Bell:
    """Wakes a loop: because something may be new, or because it is to stop."""

    def __init__(self) -> None:
        self._awake = threading.Event()
        self.stopping = False

    def ring(self) -> None:
        """Something may be new."""
        self._awake.set()

    def stop(self) -> None:
        """The loop ends after the step that it is in."""
        self.stopping = True
        self._awake.set()

    def wait(self, seconds: float) -> bool:
        """Waits; whether it was woken before the time was up."""
        woken = self._awake.wait(seconds)
        self._awake.clear()
        return woken


class Loop:
    """Follows one watcher. A step that fails is told and done again, later each time."""

    def __init__(
        self,
        watcher: Watcher,
        poll_s: float,
        run_poll_s: float,
        bell: Bell,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._watcher, self._bell, self._monotonic = watcher, bell, monotonic
        self._poll_s, self._run_poll_s = poll_s, run_poll_s
        self._failures = 0
        self._look_at = 0.0

    def run(self) -> None:
        """Returns when the bell says stop."""
        self._look_at = self._monotonic()
        while not self._bell.stopping:
            wait = self._step()
            woken = self._bell.wait(wait)
            if woken and not self._bell.stopping:
                self._look_at = self._monotonic()

    def _step(self) -> float:
        """One step; gives the seconds to wait after it."""
        due = self._monotonic() >= self._look_at
        try:
            state = self._watcher.step(look=due)
        except SkymillError as error:
            return self._failed(error)
        self._failures = 0
        now = self._watcher.clock()
        if due:
            self._look_at = self._monotonic() + self._until_look(state, now)
        until_look = self._look_at - self._monotonic()
        act = machine.seconds_to_act(state, now, self._run_poll_s)
        return max(PAUSE_S, min(until_look, until_look if act is None else act))

    def _until_look(self, state: State, now: float) -> float:
        settle = machine.seconds_to_settle(state, now, self._watcher.rules)
        return self._poll_s if settle is None else min(self._poll_s, settle)

    def _failed(self, error: SkymillError) -> float:
        self._failures += 1
        retry = RetryConfig(first_s=min(5.0, self._poll_s), max_s=self._poll_s)
        wait = delay(retry, self._failures, self._watcher.draw)
        self._watcher.report.say("failed", error=str(error), again_in_s=round(wait))
        self._look_at = self._monotonic() + wait
        return wait
