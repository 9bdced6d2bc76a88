"""Lock file that one process holds at a time."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: Most attempts. A place where no file can be made, such as a removed folder, looks each time as if
#: another process had just removed its lock.
_ATTEMPTS = 1000


class LockHeld(Exception):
    """Another process holds the lock."""


@contextmanager
def only_process(path: Path, refusal: Exception | None = None) -> Iterator[None]:
    """Holds the lock of a file, which is created with its folder and removed at the end.

    The system releases the lock if the process dies.

    Args:
        path: of the file.
        refusal: raised if another process holds the lock; default: LockHeld.

    Raises:
        LockHeld: another process holds it.
        OSError: the file cannot be created, is a symbolic link, or its file system has no locks.
    """
    try:
        handle = _locked(path)
    except LockHeld as error:
        raise refusal or error from error.__cause__
    try:
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
    finally:
        os.close(handle)


def _locked(path: Path) -> int:
    attempts = _ATTEMPTS
    while True:
        # A process that ends removes the file or its folder, perhaps between two of these steps.
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # In a shared folder a link could lead to another user's file.
            handle = os.open(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o666)
            try:
                if _is_held(handle, path):
                    return handle
            except BaseException:
                os.close(handle)
                raise
            os.close(handle)
        except FileNotFoundError:
            attempts -= 1
            if not attempts:
                raise


def _is_held(handle: int, path: Path) -> bool:
    """Locks a file; returns False if its path leads to another one by now."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise LockHeld(str(path)) from error
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    return os.path.samestat(os.fstat(handle), path.stat())
