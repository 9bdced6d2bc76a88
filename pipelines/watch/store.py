"""Where a watch keeps its state: one document, written only over the version that was read."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from pipelines.watch.state import State, WatchError, from_text, to_text

_ATTEMPTS = 20


@dataclass(frozen=True)
class Kept:
    """A document and its version; without a document the version says so too."""

    text: str | None
    version: str


class StateStore(Protocol):
    """A place that replaces a document atomically; what cannot be reached is a WatchError."""

    @property
    def place(self) -> str:
        """Where it lies, in words."""
        ...

    def read(self) -> Kept:
        """The document as it is now."""
        ...

    def write(self, text: str, version: str) -> bool:
        """Replaces the document of that version; False when it has another one by now."""
        ...


class Owned:
    """A place with room for one document, which says whose it is, so that nobody else takes it."""

    def __init__(self, store: StateStore, name: str) -> None:
        self._store, self._name = store, name

    @property
    def place(self) -> str:
        return self._store.place

    def read(self) -> Kept:
        """Raises WatchError when the document is another pipeline's."""
        kept = self._store.read()
        owner = from_text(kept.text, self.place).name
        if owner not in ("", self._name):
            raise WatchError(
                f"{self.place}: holds the state of the pipeline {owner}, and this is {self._name}. "
                "Name an object for each in `watch.state.uri`."
            )
        return kept

    def write(self, text: str, version: str) -> bool:
        state = from_text(text, self.place).model_copy(update={"name": self._name})
        return self._store.write(to_text(state), version)


def load(store: StateStore) -> State:
    """The state as it is now."""
    return from_text(store.read().text, store.place)


def update(store: StateStore, change: Callable[[State], State]) -> State:
    """Applies a pure change, to the newest state there is; gives back the result.

    Raises:
        WatchError: the store cannot be reached, or others change it all the time.
    """
    for _ in range(_ATTEMPTS):
        kept = store.read()
        before = from_text(kept.text, store.place)
        after = change(before)
        if after == before or store.write(to_text(after), kept.version):
            return after
    raise WatchError(f"{store.place}: changed by others at each of {_ATTEMPTS} attempts")
