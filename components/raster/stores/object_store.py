"""Operations on objects below a URI, in any kind of store, and their errors."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from components.raster.errors import SkymillError

#: Version of an object that does not exist.
ABSENT = ""


class StorageError(SkymillError):
    """A store cannot be reached, refuses a request, or lacks an object that should be there."""


class ObjectMissing(StorageError):
    """There is no object of this name."""


@dataclass(frozen=True)
class StoredObject:
    """Size of an object, its modification time by the store's own clock, and its entity tag."""

    size_bytes: int
    changed: datetime
    etag: str = ""


@dataclass(frozen=True)
class Revision:
    """Content of an object and its version; None and `ABSENT` for a missing one."""

    content: bytes | None
    version: str


@dataclass(frozen=True)
class RequestRetries:
    """Retries of a request after a lost connection, a server's error or throttling (429, 503).

    Attributes:
        count: number of retries, not counting the first attempt.
        total_s: time after the first attempt beyond which no retry begins.
    """

    count: int = 6
    total_s: float = 60.0


RETRIES = RequestRetries()


class ObjectStore(Protocol):
    """Objects below a URI, by relative name; every method raises StorageError."""

    @property
    def uri(self) -> str:
        """URI to which names are relative, without a slash at its end."""
        ...

    def listing(self, folder: str = "") -> dict[str, StoredObject]:
        """Returns all objects, or those below a folder, by their names."""
        ...

    def find(self, name: str) -> StoredObject | None:
        """Returns one object's properties, or None; always current, unlike a listing."""
        ...

    def read(self, name: str, max_bytes: int | None = None) -> bytes:
        """Returns an object's content, or its start; raises ObjectMissing."""
        ...

    def chunks(self, name: str) -> Iterator[bytes]:
        """Yields an object's content in pieces; raises ObjectMissing."""
        ...

    def revision(self, name: str) -> Revision:
        """Returns an object's content, with its version for `replace`."""
        ...

    def write(self, name: str, content: bytes | Path) -> None:
        """Writes an object from bytes or a local file; readers see either all of it or nothing."""
        ...

    def replace(self, name: str, content: bytes, version: str) -> bool:
        """Writes an object if its version is still `version`; returns False if it is not."""
        ...

    def copy(self, source: str, target: str) -> None:
        """Has the store copy an object."""
        ...

    def delete(self, name: str) -> None:
        """Deletes an object; a missing one is not an error."""
        ...


def delete_below(store: ObjectStore, folder: str) -> None:
    """Deletes every object below a folder."""
    for name in store.listing(folder):
        store.delete(name)
