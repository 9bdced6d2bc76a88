"""Content hash of a dataset, independent of its location, its times and its order."""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, islice
from typing import NamedTuple

from components.raster.batched import batched
from components.raster.effort import Effort
from components.raster.file_state import FileState, open_file, status_of

_READERS = 8
_CHUNK_BYTES = 1 << 20
#: Time per file above which several threads are worth their cost.
_SLOW_S = 0.0003
_MOST_AT_ONCE = 256  # a larger part would be timed too late, and take much memory with threads
_FEWEST_TIMED = 8  # the first calls take longer
_LEAST_REMEMBERED_BYTES = 1 << 16  # rereading smaller files is as fast as looking them up
_MOST_REMEMBERED = 1 << 20

#: Checksums of files by their state. A run checks its source at its start and when it reads.
_remembered: dict[FileState, str] = {}


def fingerprint_of(entries: Iterable[Sequence[object]], digests: Iterable[bytes] = ()) -> str:
    """Computes the sha256, in hex, over the sorted digests of entries, which may come in any order.

    Args:
        entries: that JSON can write.
        digests: of further entries, from `entry_digest`.
    """
    # Sorted in parts by their first byte, so that only a few are Python objects at a time.
    parts = [bytearray() for _ in range(256)]
    for digest in chain(digests, map(entry_digest, entries)):
        parts[digest[0]] += digest
    whole = hashlib.sha256()
    for part in parts:
        for digest in sorted(digests_in(part)):
            whole.update(digest)
    return whole.hexdigest()


def entry_digest(entry: Sequence[object]) -> bytes:
    """Returns the sha256 of a fingerprint's entry."""
    return hashlib.sha256(json.dumps(entry).encode()).digest()


def digests_in(joined: bytes | bytearray) -> Iterator[bytes]:
    """Yields digests from their concatenation."""
    size = hashlib.sha256().digest_size
    return (bytes(joined[at : at + size]) for at in range(0, len(joined), size))


class FileMark(NamedTuple):
    """Identity of a file's content, and the file's state before it was read.

    Attributes:
        checksum: sha256 in hex; `!` and the kind of error if the file cannot be read.
        state: of a local file; None if there is none.
        was_old: an equal state at any later time proves equal content.
    """

    checksum: str
    state: FileState | None = None
    was_old: bool = False


def checksums_of_files(paths: Iterable[str]) -> Iterator[str]:
    """Yields the sha256 of each local file; `!` and the kind of error if a read fails."""
    return (mark.checksum for mark in marks_of_files(paths))


def marks_of_files(paths: Iterable[str]) -> Iterator[FileMark]:
    """Yields the mark of each local file, in order; unreadable files have one too.

    Several threads read files that are slow to read. Small files in the page cache are not: the
    threads would only pass Python's lock to and fro, which takes longer than reading them.
    """
    waiting = iter(paths)
    at_once = 1
    slow_parts = 0  # a single one may be a pause of the garbage collector
    while slow_parts < 2 and (part := list(islice(waiting, at_once))):
        began = Effort.so_far()
        marks = list(map(_mark, part))
        slow_parts = slow_parts + 1 if is_slow(Effort.so_far().since(began), len(part)) else 0
        at_once = min(2 * at_once, _MOST_AT_ONCE)
        yield from marks
    with ThreadPoolExecutor(_READERS) as pool:  # starts threads only when needed
        for part in batched(waiting, _MOST_AT_ONCE):
            yield from pool.map(_mark, part)


def is_slow(effort: Effort, files: int) -> bool:
    """Checks whether several threads would read such files sooner.

    They would if a reader waits for a disk or a network, or spends long on a sha256, which releases
    Python's lock. Elapsed seconds are not enough: on a busy machine other programs take them.
    """
    most_s = _SLOW_S * max(files, _FEWEST_TIMED)
    waited = effort.wall_s > most_s and 2 * effort.waits > files
    return waited or effort.worked_s > most_s


def _mark(path: str) -> FileMark:
    try:
        handle = open_file(path)
        try:
            return _mark_of(handle, path)
        finally:
            os.close(handle)
    except OSError as error:
        return FileMark(unreadable_checksum(path, error))


def unreadable_checksum(path: str, error: Exception) -> str:
    """Returns the stand-in for the checksum of a local file that cannot be read.

    A missing file, and something that is not a file, has the same one whatever the system's error.
    """
    return f"!{type(error).__name__ if os.path.isfile(path) else 'missing'}"


def _mark_of(handle: int, path: str) -> FileMark:
    """Reads an open file. Its state is taken first: a concurrent write changes the next state."""
    state = FileState.of(status_of(handle, path))
    was_old = state.is_old
    if (known := _remembered.get(state)) is not None:
        return FileMark(known, state, was_old)
    checksum = checksum_of_rest(handle, state.size)
    if was_old and FileState.of(os.fstat(handle)) == state:
        _remember(state, checksum)
    return FileMark(checksum, state, was_old)


def checksum_of_rest(handle: int, size: int) -> str:
    """Computes the sha256 of an open file of about `size` bytes from its position to its end."""
    digest = hashlib.sha256()
    while chunk := os.read(handle, min(size + 1, _CHUNK_BYTES)):
        digest.update(chunk)
    return digest.hexdigest()


def _remember(state: FileState, checksum: str) -> None:
    if state.size < _LEAST_REMEMBERED_BYTES:
        return
    if len(_remembered) >= _MOST_REMEMBERED:
        _remembered.clear()
    _remembered[state] = checksum
