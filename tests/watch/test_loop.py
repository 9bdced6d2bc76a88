"""Times at which a watch looks: on schedule, when woken, and later after failures."""

import json
import time
from dataclasses import dataclass, field
from typing import Any

from pipelines.watch import transitions
from pipelines.watch.loop import PAUSE_S, Waker, WatchLoop
from pipelines.watch.metrics import Gauges
from pipelines.watch.report import CombinedReport, LineReport, Report, json_line, text_line
from pipelines.watch.source import Look
from pipelines.watch.state import Active, Lease, WatchState
from pipelines.watch.transitions import Rules
from pipelines.watch.watcher import Watcher
from tests.watch.world import Clock, Data, MemoryStore, Runs

POLL_S, RUN_POLL_S = 300.0, 30.0


@dataclass
class Night(Waker):
    """A waker without real time: each wait passes at once, up to a number of waits.

    Attributes:
        rings: the numbers of the waits that end at once because of an event.
    """

    clock: Clock = field(default_factory=Clock)
    most: int = 10
    rings: tuple[int, ...] = ()
    waits: list[float] = field(default_factory=list)
    stopping: bool = False

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        woken = len(self.waits) in self.rings
        self.clock.now += 0 if woken else seconds
        self.stopping = len(self.waits) >= self.most
        return woken


@dataclass
class Counted(Data):
    looks: int = 0

    def look(self) -> Look:
        self.looks += 1
        return super().look()


def run(night: Night, data: Data, runs: Runs, report: Report | None = None) -> Watcher:
    rules = Rules(settle_s=120, lease_s=300)
    watcher = Watcher("land", data, MemoryStore(), runs, rules, clock=night.clock)
    watcher.draw, watcher.report = (lambda: 1.0), report or Report()
    WatchLoop(watcher, POLL_S, RUN_POLL_S, night, monotonic=night.clock).run()
    return watcher


def test_it_waits_for_the_settling_then_asks_about_the_run_and_looks_in_time() -> None:
    night, data, runs = Night(most=24), Counted(), Runs()
    run(night, data, runs)
    assert runs.keys == ["land-a"]
    assert night.waits[0] == 120
    assert set(night.waits[1:]) == {RUN_POLL_S}
    # At 0, at 120 (before the read, after it, before the start: once each), 420 and 720.
    assert night.clock.now - 1_000_000 == 120 + 23 * 30
    assert data.looks == 5


def test_with_nothing_to_do_it_waits_for_the_next_look() -> None:
    night, data, runs = Night(most=6), Counted(), Runs(tells=False)
    runs.start = lambda key, _: [runs.keys.append(key), runs.finish(), "run-0"][-1]  # type: ignore[method-assign,func-returns-value]
    run(night, data, runs)
    assert night.waits == [120, 30, 270, 300, 300, 300]


def test_an_event_wakes_a_look_and_many_wake_few() -> None:
    night, data = Night(most=6, rings=(1, 2, 3)), Counted()
    run(night, data, Runs())
    assert data.looks >= 4
    assert min(night.waits) >= PAUSE_S


def test_many_rings_in_a_row_are_one_and_the_bell_says_stop_at_once() -> None:
    waker = Waker(pause_s=0.2)
    for _ in range(100_000):  # more than a pipe holds
        waker.wake()
    assert waker.wait(60)
    assert not waker.wait(0)
    begin = time.monotonic()
    waker.stop()
    assert waker.wait(60)
    assert waker.stopping
    assert time.monotonic() - begin < 0.2


def test_a_step_that_breaks_ends_no_watch() -> None:
    class Broken(Counted):
        def look(self) -> Look:
            raise ZeroDivisionError("a mistake of ours")

    night, message = Night(most=3), Told()
    run(night, Broken(), Runs(), message)
    assert message.errors == ["ZeroDivisionError: a mistake of ours"] * 3


def test_failures_are_reported_and_tried_again_later_and_later() -> None:
    night, data, message = Night(most=12), Data(broken=True), Told()
    run(night, data, Runs(), message)
    assert night.waits == [5, 10, 20, 40, 80, 160, 300, 300, 300, 300, 300, 300]
    assert message.events == ["failed"] * 12


@dataclass
class Told(Report):
    events: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def event(self, event: str, **facts: Any) -> None:
        self.events.append(event)
        self.errors.append(facts.get("error", ""))


def test_when_something_is_due() -> None:
    rules, active = Rules(120, 300), Active(fingerprint="f", turn=1, since=0)
    assert transitions.seconds_to_act(WatchState(), 0, 30) is None
    started = active.model_copy(update={"run_id": "r"})
    assert transitions.seconds_to_act(WatchState(active=started), 0, 30) == 30
    failed = active.model_copy(update={"not_before": 70})
    assert transitions.seconds_to_act(WatchState(active=failed), 10, 30) == 60
    assert transitions.seconds_to_act(WatchState(active=failed), 100, 30) == 0
    leased = active.model_copy(update={"lease": Lease(ticket="t", until=50)})
    assert transitions.seconds_to_act(WatchState(active=leased), 10, 30) == 40
    seen = transitions.observed(WatchState(), "t", 100)
    assert transitions.seconds_to_settle(WatchState(), 0, rules) is None
    assert transitions.seconds_to_settle(seen, 130, rules) == 90
    assert transitions.seconds_to_settle(seen, 220, rules) is None


def test_lines_for_people_and_for_machines(capsys) -> None:
    moment = 1_772_323_200.0
    assert text_line(moment, "started", {"run": "r"}) == "2026-03-01 00:00:00  started       run=r"
    tree = json.loads(json_line(moment, "failed", {"error": "away"}))
    assert tree == {
        "time": "2026-03-01T00:00:00.000+00:00",
        "level": "error",
        "event": "failed",
        "error": "away",
    }
    gauges = Gauges()
    CombinedReport(LineReport(json_line, lambda: moment), gauges).event("settled", new=True)
    assert json.loads(capsys.readouterr().err)["new"] is True
    assert b"skymill_watch_fingerprints_total 1.0" in gauges.text()
