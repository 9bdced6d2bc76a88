"""Reading of whole files, local or remote, within a size limit."""

import os
import stat
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from itertools import repeat

from components.ingest.files.remote import remote_files
from components.raster.batched import batched
from components.raster.errors import PortableError, SkymillError
from components.raster.file_state import open_file
from components.raster.fingerprint import checksum_of_rest, unreadable_checksum
from components.raster.location import is_remote, local_path
from components.raster.reasons import Reason
from components.raster.stores.object_store import ObjectMissing

#: Represents the content of a file that changed while it was read; occurs in no fingerprint.
CHANGED = "!changed"
_REMOTE_READERS = 16  # a store answers in tens of milliseconds, so requests overlap
_REMOTE_AHEAD = 64


class ReadFailure(PortableError):
    """A file that cannot be read.

    Attributes:
        reason: the code of the resulting reject.
        checksum: represents the content of a local file, as in its fingerprint.
    """

    def __init__(self, reason: Reason, detail: str, checksum: str = "") -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.checksum = checksum


def read_file(uri: str, max_bytes: int) -> bytes:
    """Reads the bytes of a file.

    Raises:
        ReadFailure: it is missing, unreadable, not a regular file, or larger than `max_bytes`.
    """
    outcome = _read(uri, max_bytes)
    if isinstance(outcome, ReadFailure):
        raise outcome
    return outcome


def read_files(uris: Iterable[str], max_bytes: int) -> Iterator[bytes | ReadFailure]:
    """Yields the bytes of each file, or its failure, in the order of `uris`."""
    with ThreadPoolExecutor(_REMOTE_READERS) as pool:  # starts threads only when needed
        for ahead in batched(uris, _REMOTE_AHEAD):
            if any(map(is_remote, ahead)):
                yield from pool.map(_read, ahead, repeat(max_bytes))
            else:
                yield from map(_read_local, map(local_path, ahead), repeat(max_bytes))


def _read(uri: str, max_bytes: int) -> bytes | ReadFailure:
    if is_remote(uri):
        return _read_remote(uri, max_bytes)
    return _read_local(local_path(uri), max_bytes)


def _read_local(path: str, max_bytes: int) -> bytes | ReadFailure:
    try:
        handle = open_file(path)
        try:
            status = os.fstat(handle)
            size = status.st_size
            if not stat.S_ISREG(status.st_mode):
                kind = "a folder" if stat.S_ISDIR(status.st_mode) else "no regular file"
                checksum = unreadable_checksum(path, OSError())
                return ReadFailure(Reason.UNREADABLE, f"{kind}, not an image file", checksum)
            if size > max_bytes:
                checksum = checksum_of_rest(handle, size)
                unchanged = os.fstat(handle).st_size == size
                return _too_many(max_bytes, checksum if unchanged else CHANGED)
            data = os.read(handle, size)
            while len(data) < size and (more := os.read(handle, size - len(data))):
                data += more  # one read returns at most 2 GiB
            return data
        finally:
            os.close(handle)
    except (OSError, ValueError) as error:
        return _failure(error, unreadable_checksum(path, error))


def _read_remote(uri: str, max_bytes: int) -> bytes | ReadFailure:
    try:
        files, name = remote_files(uri)
        data = files.read(name, max_bytes + 1)
    except Exception as error:  # every store raises its own exceptions
        return _failure(error)
    return _too_many(max_bytes) if len(data) > max_bytes else data


def _too_many(max_bytes: int, checksum: str = "") -> ReadFailure:
    detail = f"more than the limit of {max_bytes} bytes"
    return ReadFailure(Reason.TOO_MANY_BYTES, detail, checksum)


def _failure(error: Exception, checksum: str = "") -> ReadFailure:
    missing = isinstance(error, FileNotFoundError | NotADirectoryError | ObjectMissing)
    missing |= getattr(error, "code", None) == HTTPStatus.NOT_FOUND
    reason = Reason.MISSING_FILE if missing else Reason.UNREADABLE
    ours = isinstance(error, SkymillError)
    detail = str(error) if ours else f"{type(error).__name__}: {error}"
    return ReadFailure(reason, detail, checksum)
