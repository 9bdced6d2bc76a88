"""Checksums of the files that workers read whole, as they read them.

Workers compute the sha256 of each photograph in any case. The fingerprint of the very bytes that
were read follows from it, so that nothing is read twice.
"""

import json
from collections.abc import Iterable, Sequence
from hashlib import blake2b

import numpy as np

#: Represents the content of a file that had several; no fingerprint is of it.
CHANGED = "!changed"

_NAME_BYTES, _DIGEST_BYTES = 16, 32


class ReadLog:
    """Checksums of files by their location."""

    def __init__(self) -> None:
        self.checksums: dict[str, str] = {}

    def note(self, uri: str, checksum: str) -> None:
        """Notes a file that was read whole; two images may share a mask."""
        if self.checksums.setdefault(uri, checksum) != checksum:
            self.checksums[uri] = CHANGED

    def to_json(self) -> bytes:
        """Serializes the log."""
        return json.dumps(self.checksums, separators=(",", ":")).encode()


class ReadChecksums:
    """Checksums from many logs, to be looked up by location.

    A file takes 56 bytes: the hash of its location, its sha256, and its place among the hashes. A
    dictionary of texts takes 300.

    Args:
        logs: from `ReadLog.to_json`.
    """

    def __init__(self, logs: Iterable[bytes] = ()) -> None:
        names, digests = bytearray(), bytearray()
        self._others: dict[bytes, str] = {}  # of files that could not be read, or changed
        for log in logs:
            for uri, checksum in json.loads(log).items():
                name = _name(uri)
                if len(checksum) == 2 * _DIGEST_BYTES:
                    names += name
                    digests += bytes.fromhex(checksum)
                elif self._others.setdefault(name, checksum) != checksum:
                    self._others[name] = CHANGED
        self._names = np.frombuffer(names, f"S{_NAME_BYTES}")
        self._digests = np.frombuffer(digests, np.uint8).reshape(-1, _DIGEST_BYTES)
        self._order = np.argsort(self._names, kind="stable")
        self._note_changed()

    def of(self, uris: Sequence[str]) -> list[str | None]:
        """Returns the checksum of each file; None where no worker has read it."""
        names = [_name(uri) for uri in uris]
        return [
            self._others.get(name) or (None if row < 0 else self._digests[row].tobytes().hex())
            for name, row in zip(names, self._rows(names), strict=True)
        ]

    def _rows(self, names: Sequence[bytes]) -> list[int]:
        """Returns the first row of each name, or -1."""
        if not len(self._order):
            return [-1] * len(names)
        wanted = np.array(names, self._names.dtype)
        places = np.searchsorted(self._names, wanted, sorter=self._order)
        rows = self._order[np.minimum(places, len(self._order) - 1)]
        found: list[int] = np.where(self._names[rows] == wanted, rows, -1).tolist()
        return found

    def _note_changed(self) -> None:
        """Notes files that had another content when they were read again."""
        one, two = self._order[:-1], self._order[1:]
        again = np.flatnonzero(self._names[one] == self._names[two])
        differ = (self._digests[one[again]] != self._digests[two[again]]).any(axis=1)
        for name in self._names[one[again[differ]]].tolist():
            self._others[name.ljust(_NAME_BYTES, b"\0")] = CHANGED
        unread = list(self._others)
        for name, row in zip(unread, self._rows(unread), strict=True):
            if row >= 0:
                self._others[name] = CHANGED


def _name(uri: str) -> bytes:
    return blake2b(uri.encode("utf-8", "surrogateescape"), digest_size=_NAME_BYTES).digest()
