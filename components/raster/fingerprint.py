"""One number for a dataset: what it holds decides, never where, when or in which order it lies."""

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

_READERS = 8
_CHUNK_BYTES = 1 << 20
_FILES_A_TASK = 256


def fingerprint_of(entries: Iterable[Sequence[object]]) -> str:
    """The sha256, in hex, over entries that JSON can write, whatever their order."""
    digest = hashlib.sha256()
    for line in sorted(json.dumps(list(entry)) for entry in entries):
        digest.update(line.encode() + b"\n")
    return digest.hexdigest()


def checksums_of_files(paths: Sequence[str]) -> list[str]:
    """The sha256 of each local file's content; `!` and the kind of error where it has none."""
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
            digest = hashlib.sha256()
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
            return digest.hexdigest()
    except OSError as error:
        return f"!{type(error).__name__}"
