"""Content hash of a dataset, independent of its location, its time and its order."""

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from components.raster.file_state import FileState

_READERS = 8
_CHUNK_BYTES = 1 << 20
_FILES_A_TASK = 256
_LEAST_REMEMBERED_BYTES = 1 << 16  # rereading smaller files is as fast as looking them up
_MOST_REMEMBERED = 1 << 20

#: Checksums of files by their state. A run looks at its source when it starts and when it reads.
_remembered: dict[FileState, str] = {}


def fingerprint_of(entries: Iterable[Sequence[object]]) -> str:
    """Computes the sha256, in hex, over entries that JSON can write, in any order."""
    digest = hashlib.sha256()
    for line in sorted(json.dumps(list(entry)) for entry in entries):
        digest.update(line.encode() + b"\n")
    return digest.hexdigest()


def checksums_of_files(paths: Sequence[str]) -> list[str]:
    """Computes the sha256 of each local file; `!` and the kind of error where a read fails."""
    tasks = [paths[at : at + _FILES_A_TASK] for at in range(0, len(paths), _FILES_A_TASK)]
    with ThreadPoolExecutor(_READERS) as pool:
        return [checksum for part in pool.map(_checksums, tasks) for checksum in part]


def _checksums(paths: Sequence[str]) -> list[str]:
    return [_checksum(path) for path in paths]


def _checksum(path: str) -> str:
    if not os.path.isfile(path):  # a named pipe would block, and a folder has no content
        return "!missing"
    try:
        with open(path, "rb", buffering=0) as file:
            state = FileState.of(os.fstat(file.fileno()))
            if (known := _remembered.get(state)) is not None:
                return known
            was_old = state.is_old
            digest = hashlib.sha256()
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
            if was_old and FileState.of(os.fstat(file.fileno())) == state:
                _remember(state, digest.hexdigest())
            return digest.hexdigest()
    except OSError as error:
        return f"!{type(error).__name__}"


def _remember(state: FileState, checksum: str) -> None:
    if state.size < _LEAST_REMEMBERED_BYTES:
        return
    if len(_remembered) >= _MOST_REMEMBERED:
        _remembered.clear()
    _remembered[state] = checksum
