"""A watch, step by step: changes that start a run or not, and states after a crash."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.config.watch import RetryConfig
from pipelines.watch import transitions
from pipelines.watch.backoff import delay
from pipelines.watch.state import WatchError
from pipelines.watch.state_store import load, update
from pipelines.watch.transitions import Rules, key_of
from pipelines.watch.watcher import Watcher
from tests.watch.world import Clock, Data, Deadly, Killed, MemoryStore, Runs

RULES = Rules(settle_s=120, lease_s=300)


@dataclass
class Scene:
    """One source, one target, one store and any number of watchers."""

    clock: Clock = field(default_factory=Clock)
    store: MemoryStore = field(default_factory=MemoryStore)
    data: Data = field(default_factory=Data)
    runs: Runs = field(default_factory=Runs)

    def __post_init__(self) -> None:
        self.runs.data = self.data
        self.watcher = self.another()

    def another(self, happen: Callable[[str | None], None] = lambda _: None) -> Watcher:
        source, store, target = (Deadly(it, happen) for it in (self.data, self.store, self.runs))
        return Watcher("land", source, store, target, RULES, clock=self.clock, draw=lambda: 0.5)

    def after(self, seconds: float) -> None:
        self.clock.now += seconds
        self.watcher.step()

    def settle(self) -> None:
        self.watcher.step()
        self.after(RULES.settle_s)


def contents(runs: Runs) -> list[str]:
    """The data that runs were started for, in order."""
    return [key.split("-")[1] for key in runs.keys]


def test_data_are_run_once_when_they_have_settled() -> None:
    scene = Scene()
    scene.watcher.step()
    scene.after(119)
    assert scene.runs.keys == []
    scene.after(1)
    assert contents(scene.runs) == ["a"]
    scene.runs.finish()
    for _ in range(5):
        scene.after(300)
    assert contents(scene.runs) == ["a"]
    assert scene.data.reads == 1, "unchanged data are not read again"


def test_an_upload_that_goes_on_is_waited_for() -> None:
    scene = Scene()
    for number in range(6):
        scene.data.hold(f"half{number}")
        scene.after(100)
    assert scene.runs.keys == []
    scene.after(120)
    assert contents(scene.runs) == ["half5"]


def test_data_that_change_while_they_are_read_are_waited_for() -> None:
    scene = Scene()
    scene.watcher.step()
    read = scene.data.fingerprint
    scene.data.fingerprint = lambda: [read(), scene.data.hold("b")][0]  # type: ignore[method-assign]
    scene.after(120)
    assert scene.runs.keys == []
    scene.data.fingerprint = read  # type: ignore[method-assign]
    scene.after(120)
    assert contents(scene.runs) == ["b"]


def test_without_the_marker_nothing_fires() -> None:
    scene = Scene(data=Data(marked=False))
    scene.settle()
    scene.after(10_000)
    assert scene.runs.keys == []
    assert scene.data.reads == 0
    scene.data.marked = True
    scene.after(1)
    assert contents(scene.runs) == ["a"]


def test_a_touched_file_is_no_new_data() -> None:
    scene = Scene()
    scene.settle()
    scene.data.touched += 1
    scene.settle()
    scene.runs.finish()
    scene.settle()
    assert contents(scene.runs) == ["a"]


def test_new_data_wait_for_the_run_and_only_the_newest_are_run() -> None:
    scene = Scene()
    scene.settle()
    for content in ("b", "c", "d"):
        scene.data.hold(content)
        scene.settle()
    assert contents(scene.runs) == ["a"]
    scene.runs.finish()
    scene.after(30)
    assert contents(scene.runs) == ["a", "d"]


def test_data_that_are_unsettled_when_the_run_ends_are_waited_for() -> None:
    scene = Scene()
    scene.settle()
    scene.data.hold("b")
    scene.settle()
    scene.data.hold("half of c")
    scene.runs.finish()
    scene.after(30)
    assert contents(scene.runs) == ["a"], "b is gone, and c is not whole"
    scene.data.hold("c")
    scene.settle()
    assert contents(scene.runs) == ["a", "c"]


def test_a_week_away_gives_one_run() -> None:
    scene = Scene()
    scene.settle()
    scene.runs.finish()
    for content in "bcdefgh":
        scene.data.hold(content)
    scene.clock.now += 7 * 86400
    scene.watcher = scene.another()  # another process
    scene.settle()
    scene.after(300)
    assert contents(scene.runs) == ["a", "h"]


@pytest.mark.parametrize("outcome", ["failed", "blocked", "gone"])
def test_a_run_that_ends_badly_is_not_repeated_unless_asked_for(outcome: str) -> None:
    scene = Scene()
    scene.settle()
    scene.runs.finish(outcome)
    for _ in range(5):
        scene.after(300)
    assert scene.runs.keys == ["land-a"]
    update(scene.store, transitions.marked_new)
    scene.after(300)
    assert scene.runs.keys == ["land-a", "land-a-2"]
    scene.runs.finish()
    scene.after(300)
    assert scene.runs.keys == ["land-a", "land-a-2"]


def test_data_that_were_run_before_are_not_run_when_they_come_back() -> None:
    scene = Scene()
    for content in ("a", "b", "a"):
        scene.data.hold(content)
        scene.settle()
        scene.runs.finish()
        scene.after(30)
    assert contents(scene.runs) == ["a", "b"]


def test_skipped_data_get_no_run() -> None:
    scene = Scene(runs=Runs(refuses=True))
    scene.watcher.step()
    scene.clock.now += 120
    seen = scene.data.look()
    update(scene.store, lambda old: transitions.settled(old, seen.token, "a"))
    update(scene.store, lambda old: transitions.skipped(old, scene.clock()))
    scene.runs.refuses = False
    scene.after(300)
    assert scene.runs.keys == []
    scene.data.hold("b")
    scene.settle()
    assert contents(scene.runs) == ["b"]


def test_a_start_that_fails_is_tried_again_later_and_later() -> None:
    scene = Scene(runs=Runs(refuses=True))
    scene.settle()
    waits = []
    for _ in range(12):
        active = load(scene.store).active
        assert active is not None
        assert active.error == "no room"
        waits.append(active.not_before - scene.clock())
        scene.clock.now = active.not_before - 0.001
        before = active.attempts
        scene.watcher.step()
        assert load(scene.store).active.attempts == before, "not before its time"
        scene.after(0.001)
    assert all(15 * 2**n <= wait <= min(30 * 2**n, 3600) for n, wait in enumerate(waits[:7]))
    assert all(1800 <= wait <= 3600 for wait in waits[7:])
    scene.watcher = scene.another()
    scene.runs.refuses = False
    scene.after(3600)
    assert contents(scene.runs) == ["a"]


def test_a_start_that_fails_makes_way_for_newer_data() -> None:
    scene = Scene(runs=Runs(refuses=True))
    scene.settle()
    scene.data.hold("b")
    scene.settle()
    scene.runs.refuses = False
    for _ in range(3):
        scene.after(120)
    assert contents(scene.runs) == ["b"]


@pytest.mark.parametrize("moment", ["before start", "after start"])
def test_a_watcher_that_dies_at_the_start_leaves_one_run(moment: str) -> None:
    scene = Scene()
    start = scene.runs.start

    def die(key: str, require_lease: Callable[[], None]) -> str:
        if moment == "after start":
            start(key)
        raise Killed

    scene.runs.start = die  # type: ignore[method-assign]
    with pytest.raises(Killed):
        scene.settle()
    scene.runs.start = start  # type: ignore[method-assign]
    scene.watcher = scene.another()
    scene.after(1)
    assert len(scene.runs.keys) == (moment == "after start"), "the lease is not over"
    scene.after(300)
    scene.after(300)
    assert contents(scene.runs) == ["a"]
    assert load(scene.store).active.run_id == "run-0"


def test_an_answer_that_was_lost_is_looked_up() -> None:
    scene = Scene()
    start = scene.runs.start

    def lose(key: str, require_lease: Callable[[], None]) -> str:
        start(key)
        raise TimeoutError("no answer")

    scene.runs.start = lose  # type: ignore[method-assign]
    scene.settle()
    assert load(scene.store).active.error == "TimeoutError: no answer"
    scene.after(30)
    assert contents(scene.runs) == ["a"]
    assert load(scene.store).active.run_id == "run-0"


def test_a_watcher_that_slept_through_its_lease_starts_nothing() -> None:
    scene = Scene()
    find = scene.runs.find

    def sleep(key: str) -> str | None:
        found = find(key)
        scene.runs.find = find  # type: ignore[method-assign]
        scene.clock.now += 301
        other = scene.another()
        other.step()
        return found

    scene.runs.find = sleep  # type: ignore[method-assign]
    scene.settle()
    assert contents(scene.runs) == ["a"]
    assert load(scene.store).active.run_id == "run-0"


def test_a_run_that_took_newer_data_than_it_was_for_settles_both() -> None:
    scene = Scene()
    start = scene.runs.start

    def late(key: str, require_lease: Callable[[], None]) -> str:
        scene.data.hold("b")
        return start(key)

    scene.runs.start = late  # type: ignore[method-assign]
    scene.settle()
    scene.settle()
    scene.runs.finish()
    scene.after(300)
    scene.after(300)
    assert scene.runs.keys == ["land-a"]
    scene.runs.start = start  # type: ignore[method-assign]
    scene.data.hold("a")
    scene.settle()
    assert scene.runs.keys == ["land-a", "land-a-2"], "no run has taken a"


def test_where_the_target_does_not_tell_data_that_went_and_came_back_are_run_again() -> None:
    scene = Scene(runs=Runs(tells=False))
    scene.settle()
    for content in ("b", "a"):
        scene.data.hold(content)
        scene.settle()
    scene.runs.finish()
    scene.after(30)
    assert scene.runs.keys == ["land-a", "land-a-2"]
    scene.runs.finish()
    scene.after(30)
    scene.after(30)
    assert scene.runs.keys == ["land-a", "land-a-2"]


def test_a_source_that_is_away_loses_nothing() -> None:
    scene = Scene()
    scene.watcher.step()
    scene.data.broken = True
    with pytest.raises(WatchError, match="the source is away"):
        scene.after(300)
    scene.data.broken = False
    scene.after(300)
    assert contents(scene.runs) == ["a"]


def test_a_clock_that_was_set_back_settles_anew() -> None:
    scene = Scene()
    scene.watcher.step()
    scene.clock.now -= 86400
    scene.watcher.step()
    scene.after(119)
    assert scene.runs.keys == []
    scene.after(1)
    assert contents(scene.runs) == ["a"]


def test_keys_are_what_targets_take() -> None:
    assert key_of("land_cover", "f" * 64, 1) == "land.cover-" + "f" * 24
    assert key_of("land_cover", "f" * 64, 3) == "land.cover-" + "f" * 24 + "-3"


def test_delays_by_hand() -> None:
    retry = RetryConfig(first_s=10, factor=3, max_s=100)
    assert [delay(retry, n, lambda: 1.0) for n in (1, 2, 3, 4, 1000)] == [10, 30, 90, 100, 100]
    assert [delay(retry, n, lambda: 0.0) for n in (1, 2, 3, 4)] == [5, 15, 45, 50]


ACTIONS = st.sampled_from(["step"] * 6 + ["lease"] * 3 + ["upload", "touch", "finish", "minute"])


class Chaos:
    """Three watchers; between two calls of one, others step, time passes, or it is killed."""

    def __init__(self, seed: int, chance: float, tells: bool) -> None:
        self.fate, self.chance = random.Random(seed), chance
        self.scene = Scene(runs=Runs(tells=tells))
        self.watchers = [self.scene.another(self.between) for _ in range(3)]
        self.uploads = self.depth = 0

    def do(self, action: str, who: int) -> None:
        if action == "step":
            self.step(who)
        elif action == "upload":
            self.uploads += 1
            self.scene.data.hold(f"u{self.uploads}")
        elif action == "touch":
            self.scene.data.touched += 1
        elif action == "finish":
            self.scene.runs.finish()
        else:
            self.scene.clock.now += {"lease": 301, "minute": 60}[action]

    def step(self, who: int) -> None:
        try:
            self.watchers[who].step()
        except Killed:
            self.watchers[who] = self.scene.another(self.between)

    def between(self, _: str | None) -> None:
        if self.depth > 2 or self.fate.random() >= self.chance:
            return
        what = self.fate.choice(
            ["die", "die", "step", "step", "step", "lease", "lease", "upload", "finish"]
        )
        if what == "die":
            raise Killed
        self.depth += 1
        try:
            self.do(what, self.fate.randrange(3))
        finally:
            self.depth -= 1


@settings(max_examples=150, deadline=None)
@given(
    actions=st.lists(st.tuples(ACTIONS, st.integers(0, 2)), min_size=40, max_size=80),
    seed=st.integers(0, 2**32),
    chance=st.sampled_from([0.0, 0.05, 0.2]),
    tells=st.booleans(),
)
def test_whatever_happens_data_get_one_run_and_the_newest_get_theirs(
    actions: list[tuple[str, int]], seed: int, chance: float, tells: bool
) -> None:
    chaos = Chaos(seed, chance, tells)
    scene = chaos.scene
    for action, who in actions:
        chaos.do(action, who)
        assert len(set(contents(scene.runs))) == len(scene.runs.keys), "data were run twice"
        assert scene.runs.under_way <= 1, "two runs at once"
    for _ in range(6):  # everybody lives, and time goes by
        scene.after(301)
        scene.runs.finish()
    assert scene.data.content in [*contents(scene.runs), *scene.runs.took], "data were lost"
    state = load(scene.store)
    assert (state.wanted, state.active) == (None, None)
