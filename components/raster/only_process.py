"""A lock file that one process holds at a time."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO


class LockHeld(Exception):
    """Another process holds the lock."""


@contextmanager
def only_process(path: Path) -> Iterator[None]:
    """Holds the lock of a file, which is made, with its folder, and removed at the end.

    The system gives the lock back if the process dies.

    Raises:
        LockHeld: another process holds it.
    """
    with _opened(path):
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _opened(path: Path) -> IO[str]:
    while True:
        # Whoever ends removes the file or its folder, perhaps between two of these steps.
        with suppress(FileNotFoundError):
            path.parent.mkdir(parents=True, exist_ok=True)
            file = path.open("w")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                    return file
            except BlockingIOError as error:
                file.close()
                raise LockHeld(str(path)) from error
            except FileNotFoundError:
                file.close()
                raise
            file.close()
