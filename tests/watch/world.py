"""Clock, store, source and target in memory for watchers, with faults between any two calls."""

from collections.abc import Callable
from dataclasses import dataclass, field

from pipelines.watch.source import Look
from pipelines.watch.state import WatchError
from pipelines.watch.state_store import Document
from pipelines.watch.target import RunEnd, StartError


class Killed(BaseException):
    """Death of the process; no `except Exception` catches it."""


@dataclass
class Clock:
    """Time that a test advances."""

    now: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class MemoryStore:
    """A document that several watchers share, with the versions that any store has."""

    text: str | None = None
    version: int = 0
    place: str = "memory"

    def read(self) -> Document:
        return Document(self.text, str(self.version))

    def write(self, text: str, version: str) -> bool:
        if version != str(self.version):
            return False
        self.text, self.version = text, self.version + 1
        return True


@dataclass
class Data:
    """A source: its content, and whether that is complete."""

    content: str = "a"
    touched: int = 0
    marked: bool = True
    broken: bool = False
    reads: int = 0

    def look(self) -> Look:
        if self.broken:
            raise WatchError("the source is away")
        return Look(f"{self.content}/{self.touched}", self.marked, 1)

    def fingerprint(self) -> str:
        self.reads += 1
        return self.content

    def hold(self, content: str) -> None:
        self.content, self.touched = content, self.touched + 1


@dataclass
class Runs:
    """A target: the started runs, with their keys and their data."""

    data: Data | None = None
    tells: bool = True
    keys: list[str] = field(default_factory=list)
    took: list[str] = field(default_factory=list)
    over: dict[str, str] = field(default_factory=dict)
    refuses: bool = False

    def find(self, key: str) -> str | None:
        return f"run-{self.keys.index(key)}" if key in self.keys else None

    def start(self, key: str, require_lease: Callable[[], None] = lambda: None) -> str:
        require_lease()
        if self.refuses:
            raise StartError("no room")
        self.keys.append(key)
        self.took.append(self.data.content if self.data else "")
        return f"run-{len(self.keys) - 1}"

    def ended(self, run_id: str) -> RunEnd | None:
        if run_id not in self.over:
            return None
        took = self.took[int(run_id.removeprefix("run-"))] if self.tells else ""
        return RunEnd(self.over[run_id], took)

    def finish(self, outcome: str = "succeeded") -> None:
        for number in range(len(self.keys)):
            self.over.setdefault(f"run-{number}", outcome)

    @property
    def under_way(self) -> int:
        return len(self.keys) - len(self.over)


@dataclass
class Deadly:
    """A store, source or target between whose calls anything may happen.

    Attributes:
        happen: called with the name of the next call, or None after one; it may raise Killed.
    """

    inner: object
    happen: Callable[[str | None], None]
    place: str = "memory"

    def __getattr__(self, name: str) -> object:
        method = getattr(self.inner, name)

        def called(*arguments: object) -> object:
            self.happen(name)
            result = method(*arguments)
            self.happen(None)
            return result

        return called
