"""Metrics of a watch for Prometheus, and its readiness for the kubelet."""

import time
from collections.abc import Callable
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from pipelines.watch.report import Report
from pipelines.watch.state import WatchState

#: Counted events, and the counter of each.
_COUNTED = {
    "changed": ("skymill_watch_changes", "Looks that found the source changed."),
    "settled": ("skymill_watch_fingerprints", "Times that settled data were read."),
    "started": ("skymill_watch_runs_started", "Runs that were started or found started."),
    "start failed": ("skymill_watch_start_failures", "Starts that failed and are tried again."),
    "ended": ("skymill_watch_runs_ended", "Runs that ended, well or not."),
    "failed": ("skymill_watch_failures", "Steps that failed: source, state or target."),
}


class Gauges(Report):
    """Event counters and gauges; a watch is ready once a look succeeds, until one fails."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self.registry = CollectorRegistry()
        self._counters = {
            event: Counter(name, text, registry=self.registry)
            for event, (name, text) in _COUNTED.items()
        }
        self._looked_at = self._gauge("last_look_seconds", "When the source was last looked at.")
        self._waiting = self._gauge("data_waiting", "1 while new data have no run yet.")
        self._running = self._gauge("run_under_way", "1 while a run is started or under way.")
        self.ready = False

    def event(self, event: str, **facts: Any) -> None:
        if event in self._counters:
            self._counters[event].inc()
        if event == "failed":
            self.ready = False

    def look_succeeded(self) -> None:
        self.ready = True
        self._looked_at.set(self._clock())

    def state_changed(self, state: WatchState) -> None:
        self._waiting.set(state.wanted is not None)
        self._running.set(state.active is not None)

    def text(self) -> bytes:
        """Returns the metrics in Prometheus's text format."""
        found: bytes = generate_latest(self.registry)
        return found

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(f"skymill_watch_{name}", text, registry=self.registry)
