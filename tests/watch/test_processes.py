"""Real watchers on one SQLite file: racing, and killed at every instant."""

import signal
import time
from pathlib import Path

import pytest

from pipelines.watch.state_store import load
from tests.watch.processes import Yard, spawn

AT_ONCE = 5


def wait_for_runs(yard: Yard, count: int) -> None:
    until = time.monotonic() + 20
    while len(yard.runs) < count and time.monotonic() < until:
        time.sleep(0.01)


def test_watchers_that_race_start_one_run_for_each_state_of_the_data(tmp_path: Path) -> None:
    yard = Yard(tmp_path, lease_s=60.0)  # nobody dies, so nobody need take over
    yard.put("0.png", "0")
    watchers = [spawn(yard, 6) for _ in range(3)]
    for number in range(1, 6):
        wait_for_runs(yard, number)
        yard.put(f"{number}.png", str(number))
    for watcher in watchers:
        watcher.join()
        assert watcher.exitcode == 0
    assert len(yard.runs) == 6
    assert len(set(yard.runs)) == 6


@pytest.mark.slow
def test_a_watcher_killed_at_any_instant_leaves_one_run(tmp_path: Path) -> None:
    codes: list[int | None] = []
    while 0 not in codes:
        yards = [Yard(tmp_path / str(len(codes) + more)) for more in range(AT_ONCE)]
        for yard in yards:
            yard.put("0.png", "0")
        doomed = [spawn(yard, 1, dies_at=len(codes) + at) for at, yard in enumerate(yards)]
        for process in doomed:
            process.join()
        codes += [process.exitcode for process in doomed]
        for process in [spawn(yard, 1) for yard in yards]:
            process.join()
            assert process.exitcode == 0
        for yard in yards:
            assert len(yard.runs) == 1, f"killed at instant {yard.root.name}"
            assert [one.outcome for one in load(yard.store()).done] == ["succeeded"]
    assert set(codes) == {0, -signal.SIGKILL}
    assert len(codes) > 30, "looks, reads, writes, the search for the run and its start"
