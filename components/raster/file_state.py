"""State of a file in its file system: an equal state means equal content, once the state is old.

A file system records times in ticks, from milliseconds to two seconds long. Content that is written
twice within a tick may keep its state, so only a state that was old when it was taken proves
anything.
"""

import os
import stat
import time
from typing import NamedTuple, Self

#: The coarsest ticks of any file system (FAT).
_LONGEST_TICK_NS = 2 * 10**9


class FileState(NamedTuple):
    """Size, times and inode of a file (a tuple, since a source may have millions).

    Attributes:
        written_ns: last change of the content, in nanoseconds since 1970; programs can set it.
        changed_ns: last change of the inode, by a write or a rename; programs cannot set it.
    """

    size: int
    written_ns: int
    changed_ns: int
    inode: int
    device: int

    @classmethod
    def of(cls, status: os.stat_result) -> Self:
        """Builds the state from the result of `os.stat` or `os.fstat`."""
        return cls(
            status.st_size,
            status.st_mtime_ns,
            status.st_ctime_ns,
            status.st_ino,
            status.st_dev,
        )

    @property
    def is_old(self) -> bool:
        """True if any later change would give another state."""
        return time.time_ns() - max(self.written_ns, self.changed_ns) > _LONGEST_TICK_NS

    def __str__(self) -> str:
        return f"{self.size}|{self.written_ns}|{self.changed_ns}|{self.inode}"


def state_of(path: str) -> FileState:
    """Returns the state of a local file.

    It is read from the open file, since network file systems otherwise answer from a cache.

    Raises:
        OSError: there is no such file, it cannot be opened, or it is not a regular file.
    """
    handle = open_file(path)
    try:
        return FileState.of(status_of(handle, path))
    finally:
        os.close(handle)


def open_file(path: str) -> int:
    """Opens a local file for reading, without waiting for the other end of a named pipe."""
    return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)


def status_of(handle: int, path: str) -> os.stat_result:
    """Returns the status of an open file.

    Raises:
        OSError: it is not a regular file.
    """
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode):
        raise OSError(f"{path} is not a regular file")
    return status
