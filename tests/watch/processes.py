"""Watchers as separate processes, which may be killed, and a target in a file."""

import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

from components.ingest.config import IngestConfig
from components.ingest.photographs.config import FoldersSource
from pipelines.config.watch import RetryConfig
from pipelines.watch.source import PolledSource
from pipelines.watch.sqlite_store import SqliteStore
from pipelines.watch.target import RunEnd
from pipelines.watch.transitions import Rules
from pipelines.watch.watcher import Watcher
from tests.watch.world import Deadly

SETTLE_S = 0.05
_PATIENCE_S, _LONGER_S = 30.0, 0.1
_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload([__name__])


@dataclass(frozen=True)
class Yard:
    """A folder with a source, a state and the runs that were started for it."""

    root: Path
    lease_s: float = 0.25

    @property
    def images(self) -> Path:
        return self.root / "images"

    @property
    def runs(self) -> list[str]:
        """The keys of all runs, in the order of their starts."""
        path = self.root / "runs"
        return path.read_text().split() if path.exists() else []

    def put(self, name: str, content: str) -> None:
        path = self.images / "class" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)

    def store(self) -> SqliteStore:
        return SqliteStore(str(self.root / "watch.sqlite"), "land")

    def watcher(self, dies_at: int | None = None) -> Watcher:
        """Returns a watcher that kills its process before or after a given call."""
        left = dies_at

        def happen(_: str | None) -> None:
            nonlocal left
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left = None if left is None else left - 1

        source = PolledSource(IngestConfig(source=FoldersSource(uri=str(self.images))))
        parts = (Deadly(it, happen) for it in (source, self.store(), FileRuns(self.root)))
        retry = RetryConfig(first_s=0.05, max_s=0.1)
        return Watcher("land", *parts, Rules(SETTLE_S, self.lease_s), retry)


@dataclass(frozen=True)
class FileRuns:
    """A target that starts every requested run, also twice; runs end at once."""

    root: Path

    def find(self, key: str) -> str | None:
        runs = Yard(self.root).runs
        time.sleep(random.random() * 0.01)
        return key if key in runs else None

    def start(self, key: str, require_lease: Callable[[], None]) -> str:
        require_lease()
        with open(self.root / "runs", "a") as file:
            file.write(key + "\n")
        return key

    def ended(self, run_id: str) -> RunEnd | None:
        return RunEnd("succeeded")


def spawn(yard: Yard, runs: int, dies_at: int | None = None) -> BaseProcess:
    """Starts a watcher that steps until `runs` runs have ended, or until it dies."""
    process = _SERVER.Process(target=watch, args=(yard, runs, dies_at))
    process.start()
    return process


def watch(yard: Yard, runs: int, dies_at: int | None = None) -> None:
    watcher = yard.watcher(dies_at)
    until = time.monotonic() + _PATIENCE_S
    ends = until
    while time.monotonic() < min(until, ends):
        state = watcher.step()
        if ends == until and len(state.done) >= runs and state.active is None:
            ends = time.monotonic() + _LONGER_S  # time enough to do something wrong
        time.sleep(0.005)
