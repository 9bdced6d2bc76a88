"""Event log of a watch: one line per event, as text or JSON."""

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from components.raster.masking import masked_tree
from pipelines.watch.state import WatchState

_BAD = {"start failed", "failed"}


def utc(moment: float) -> str:
    """Formats a time (seconds since 1970) in UTC, to the second."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%S")


def text_line(moment: float, event: str, facts: dict[str, Any]) -> str:
    """Formats an event as `2026-03-01 06:00:00 started  run=... key=...`."""
    fields = "  ".join(f"{name}={value}" for name, value in facts.items())
    return f"{utc(moment)}  {event:<12}  {fields}".rstrip()


def json_line(moment: float, event: str, facts: dict[str, Any]) -> str:
    """Formats an event as a JSON object with `time` (ISO 8601), `level`, `event` and the facts."""
    level = "error" if event in _BAD else "info"
    at = datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")
    return json.dumps({"time": at, "level": level, "event": event, **facts})


class Report:
    """Base class of reports; discards everything."""

    def event(self, event: str, **facts: Any) -> None:
        """Reports an event."""

    def look_succeeded(self) -> None:
        """Reports a successful look."""

    def state_changed(self, state: WatchState) -> None:
        """Reports the state after a step."""


class LineReport(Report):
    """Writes lines to standard error, with secrets of addresses masked."""

    def __init__(
        self, line: Callable[[float, str, dict[str, Any]], str], clock: Callable[[], float]
    ) -> None:
        self._line, self._clock = line, clock

    def event(self, event: str, **facts: Any) -> None:
        line = self._line(self._clock(), event, masked_tree(facts))
        print(line, file=sys.stderr, flush=True)


class CombinedReport(Report):
    """Forwards to several reports."""

    def __init__(self, first: Report, second: Report) -> None:
        self._reports = (first, second)

    def event(self, event: str, **facts: Any) -> None:
        for report in self._reports:
            report.event(event, **facts)

    def look_succeeded(self) -> None:
        for report in self._reports:
            report.look_succeeded()

    def state_changed(self, state: WatchState) -> None:
        for report in self._reports:
            report.state_changed(state)
