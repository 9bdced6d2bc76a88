"""A watch's state in SQLite: the default, for watchers on one machine."""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

from components.raster.full_disk import is_full_disk, message
from pipelines.watch.state import WatchError
from pipelines.watch.state_store import Document

_TABLE = "CREATE TABLE IF NOT EXISTS watch (name TEXT PRIMARY KEY, version INTEGER, state TEXT)"
_READ = "SELECT state, version FROM watch WHERE name = ?"
_FIRST = "INSERT INTO watch VALUES (?, 1, ?) ON CONFLICT DO NOTHING"
_NEXT = "UPDATE watch SET state = ?, version = version + 1 WHERE name = ? AND version = ?"
_WAIT_S = 30.0  # for another process's transaction, which takes milliseconds
_AGAIN_S = 0.01


class SqliteStore:
    """State in the row of one pipeline. Each call is one transaction."""

    def __init__(self, path: str, name: str) -> None:
        self._path, self._name = path, name

    @property
    def place(self) -> str:
        return self._path

    def read(self) -> Document:
        if not os.path.exists(self._path):  # reading a state must not create a file
            return Document(None, "0")
        with self._opened() as rows:
            found = rows.execute(_READ, (self._name,)).fetchone()
        return Document(found[0], str(found[1])) if found else Document(None, "0")

    def write(self, text: str, version: str) -> bool:
        with self._opened() as rows:
            if version == "0":
                return rows.execute(_FIRST, (self._name, text)).rowcount == 1
            return rows.execute(_NEXT, (text, self._name, int(version))).rowcount == 1

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        """Yields a connection in a transaction, which is either durable or rolled back."""
        try:
            os.makedirs(os.path.dirname(os.path.abspath(self._path)), exist_ok=True)
            with closing(sqlite3.connect(self._path, timeout=_WAIT_S)) as rows:
                _log_ahead(rows)
                rows.execute("PRAGMA synchronous=FULL")
                with rows:
                    rows.execute(_TABLE)
                    yield rows
        except (sqlite3.Error, OSError) as error:
            if is_full_disk(error):
                raise WatchError(message(error, {"watch.state.path": self._path})) from error
            raise WatchError(
                f"{self._path}: the state of the watch cannot be read or written ({error}). It has "
                "to be on a disk of this machine, in a folder that you may write to."
            ) from error


def _log_ahead(rows: sqlite3.Connection) -> None:
    """Turns on the write-ahead log; retries, since SQLite does not wait for a concurrent change."""
    end = time.monotonic() + _WAIT_S
    while True:
        try:
            rows.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(_AGAIN_S)
