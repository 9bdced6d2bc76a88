"""Lock in a store that one process holds at a time, by conditional writes."""

import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from components.raster.stores.object_store import ObjectStore, StorageError

_LEASE_S = 30.0
#: Number of writes of a holder in the time of its lease.
_BEATS = 4
_POLL_S = 1.0


@contextmanager
def only_writer(
    store: ObjectStore, name: str, refusal: Exception, lease_s: float = _LEASE_S
) -> Iterator[None]:
    """Holds the lock of an object, which is created, and removed at the end.

    The holder rewrites the object periodically. An object that has not changed for `lease_s` was
    left by a process that died, and is taken over; no clocks are compared.

    Args:
        store: of the object.
        name: of the object.
        refusal: raised if another process holds the lock.
        lease_s: time after which the object of a dead process is taken over.

    Raises:
        StorageError: the store cannot be reached, or does not support conditional writes.
    """
    own = _Holder(store, name)
    if not own.acquire(lease_s):
        raise refusal
    over = threading.Event()
    heart = threading.Thread(target=own.beat, args=(over, lease_s / _BEATS), daemon=True)
    heart.start()
    try:
        yield
    finally:
        over.set()
        heart.join()
        own.release()
    if own.is_lost:  # this process paused, and another one took the lock meanwhile
        raise refusal


class _Holder:
    def __init__(self, store: ObjectStore, name: str) -> None:
        self._store, self._name = store, name
        self._id, self._beats = uuid.uuid4().hex, 0
        self.is_lost = False

    def acquire(self, lease_s: float) -> bool:
        """Takes the lock, from a dead holder after its lease; returns False for a living holder."""
        seen, since = "", time.monotonic()
        while True:
            found = self._store.revision(self._name)
            if found.content is None:
                return self._write(found.version)
            if seen not in ("", found.version):
                return False
            if seen and time.monotonic() - since >= lease_s:
                return self._write(found.version)
            seen = found.version
            time.sleep(min(_POLL_S, lease_s / _BEATS))

    def beat(self, over: threading.Event, every_s: float) -> None:
        """Rewrites the object until the work is over, or another process has it."""
        while not over.wait(every_s) and not self.is_lost:
            try:
                found = self._store.revision(self._name)
                self.is_lost = not self._is_own(found.content) or not self._write(found.version)
            except StorageError:
                continue  # the lease outlasts several beats

    def release(self) -> None:
        """Removes the object, if it is still this process's."""
        try:
            self.is_lost |= not self._is_own(self._store.revision(self._name).content)
            if not self.is_lost:
                self._store.delete(self._name)
        except StorageError:
            return  # its lease expires

    def _write(self, version: str) -> bool:
        self._beats += 1
        return self._store.replace(self._name, f"{self._id} {self._beats}".encode(), version)

    def _is_own(self, content: bytes | None) -> bool:
        return content is not None and content.decode(errors="replace").startswith(self._id)
