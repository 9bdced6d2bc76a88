"""State stores: one document, replaced only if its version is still the one that was read."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from components.raster.stores.opening import open_object
from pipelines.watch.state import WatchError, WatchState, from_text, to_text

_ATTEMPTS = 20


@dataclass(frozen=True)
class Document:
    """A document and its version; a missing document has a version too."""

    text: str | None
    version: str


class StateStore(Protocol):
    """Store that replaces a document atomically.

    Raises WatchError, or StorageError for a bucket, if it cannot be reached.
    """

    @property
    def place(self) -> str:
        """Readable description of the store's location."""
        ...

    def read(self) -> Document:
        """Returns the current document."""
        ...

    def write(self, text: str, version: str) -> bool:
        """Replaces the document of that version; returns False if its version has changed."""
        ...


class BucketStore:
    """Store of one object in a bucket, for watchers anywhere; raises StorageError."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._store, self._name = open_object(uri)

    @property
    def place(self) -> str:
        return self._uri

    def read(self) -> Document:
        found = self._store.revision(self._name)
        return Document(None if found.content is None else found.content.decode(), found.version)

    def write(self, text: str, version: str) -> bool:
        return self._store.replace(self._name, text.encode(), version)


class OwnedDocumentStore:
    """Store for a single document, which names its pipeline, so that no other one overwrites it."""

    def __init__(self, store: StateStore, name: str) -> None:
        self._store, self._name = store, name

    @property
    def place(self) -> str:
        return self._store.place

    def read(self) -> Document:
        """Returns the document; raises WatchError if it is another pipeline's."""
        document = self._store.read()
        owner = from_text(document.text, self.place).name
        if owner not in ("", self._name):
            raise WatchError(
                f"{self.place}: holds the state of the pipeline {owner}, and this is {self._name}. "
                "Name an object for each in `watch.state.uri`."
            )
        return document

    def write(self, text: str, version: str) -> bool:
        state = from_text(text, self.place).model_copy(update={"name": self._name})
        return self._store.write(to_text(state), version)


def load(store: StateStore) -> WatchState:
    """Returns the current state."""
    return from_text(store.read().text, store.place)


def update(store: StateStore, change: Callable[[WatchState], WatchState]) -> WatchState:
    """Applies a pure change to the newest state and returns the result.

    Raises:
        WatchError: the store cannot be reached, or concurrent changes prevent every attempt.
    """
    for _ in range(_ATTEMPTS):
        document = store.read()
        before = from_text(document.text, store.place)
        after = change(before)
        if after == before or store.write(to_text(after), document.version):
            return after
    raise WatchError(f"{store.place}: changed by others at each of {_ATTEMPTS} attempts")
