"""Full-disk errors of Python, TensorFlow, SQLite, HDF5 and workers, as one error."""

import errno
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from components.raster.errors import SkymillError

_NUMBERS = (errno.ENOSPC, errno.EDQUOT)
#: TensorFlow raises ResourceExhausted, as for memory; Beam's workers report it as text.
_WORDS = re.compile(
    "No space left on device|Disk quota exceeded|database or disk is full|not enough disk space",
    re.IGNORECASE,
)
_PATH = re.compile(r"(/[^\s;:'\"]+)['\"]?[;:] (?:No space left|Disk quota)|device: '([^']+)'")
_NO_ROOM_BYTES = 1 << 20


class DiskFull(SkymillError):
    """A disk has no space left, or a quota is used up."""


@contextmanager
def full_disk_as_error(places: Mapping[str, str] | None = None) -> Iterator[None]:
    """Raises DiskFull for any error within that reports a full disk; other errors pass.

    Args:
        places: folders that are written to, by the name of the setting that moves them.
    """
    try:
        yield
    except Exception as error:
        if not is_full_disk(error) or (isinstance(error, DiskFull) and not places):
            raise
        raise DiskFull(message(error, places or {})) from error


def is_full_disk(error: BaseException) -> bool:
    """Checks whether an error, or one of its causes, reports a full disk."""
    return _full(error) is not None


def message(error: BaseException, places: Mapping[str, str]) -> str:
    """Describes the full disk, the space left and the remedy.

    Args:
        error: one that reports a full disk.
        places: folders that are written to, by the name of the setting that moves them.
    """
    full = (place for place in places.values() if _room(place) < _NO_ROOM_BYTES)
    where = _path(error) or next(full, "")
    where = where and _there(where)
    there = [name for name, place in places.items() if where and _disk(place) == _disk(where)]
    settings = " or ".join(there or places)
    remedy = f", or set {settings} to a disk that has some" if settings else ""
    of_disk = f" of {where} ({_room_text(where)})" if where else ""
    return f"The disk{of_disk} is full. Make room there{remedy}, and start again."


def _full(error: BaseException) -> BaseException | None:
    """Returns the first error of the chain that reports a full disk; it has the path."""
    seen: set[int] = set()
    found = None
    at: BaseException | None = error
    while at is not None and id(at) not in seen:
        if getattr(at, "errno", None) in _NUMBERS or _WORDS.search(str(at)):
            found = at
        elif isinstance(at, DiskFull):
            found = found or at
        seen.add(id(at))
        at = at.__cause__ or (None if at.__suppress_context__ else at.__context__)
    return found


def _path(error: BaseException) -> str:
    full = _full(error)
    named = getattr(full, "filename2", None) or getattr(full, "filename", None)
    if named:
        return os.fsdecode(named) if isinstance(named, str | bytes) else str(named)
    found = _PATH.search(str(full))
    return next(filter(None, found.groups()), "") if found else ""


def _room(place: str) -> int:
    """Returns the bytes left at a path, existing or not; 0 if no inode is left."""
    status = os.statvfs(_there(place))
    return 0 if status.f_files and not status.f_favail else status.f_bavail * status.f_frsize


def _room_text(place: str) -> str:
    total = shutil.disk_usage(_there(place)).total
    unit, name = (1e9, "GB") if total >= 1e9 else (1e6, "MB")
    return f"{_room(place) / unit:.1f} of {total / unit:.1f} {name} free by now"


def _disk(place: str) -> int:
    return os.stat(_there(place)).st_dev


def _there(place: str) -> str:
    """Returns the path itself or the nearest folder above it that exists."""
    at = os.path.abspath(place)
    while not os.path.exists(at):
        at = os.path.dirname(at)
    return at
