"""Walk over all files below a local folder, and names under which ignored files are counted.

Links to folders are followed, and no folder is entered twice. Hidden folders are entered to count
their files; links in them are not followed.
"""

import heapq
import os
from collections.abc import Collection, Iterator
from typing import NamedTuple

#: Names under which files are counted if they are left out for reasons other than their suffix.
HIDDEN, MARKER, NO_SUFFIX = "(hidden)", "(marker)", "(no_suffix)"
NO_BAND, UNUSED_MASK = "(no_band)", "(unused_mask)"
FILES_LEFT_OUT = frozenset({HIDDEN, MARKER, NO_SUFFIX, NO_BAND, UNUSED_MASK})

_HIDDEN = 2  # the last rank
#: Most names of a folder held at a time: millions would take hundreds of megabytes.
_MOST_NAMES = 1 << 16


class Entry(NamedTuple):
    """A file or folder below a root.

    Attributes:
        key: its path below the root, `/` between parts.
        path: its local path.
        is_folder: its content has its own entries.
        error: why a folder cannot be read; empty for all others.
    """

    key: str
    path: str
    is_folder: bool = False
    error: str = ""


def walk(root: str, apart: str | None = None) -> Iterator[Entry]:
    """Yields every file and folder below `root`, nearly in the order of their keys.

    A folder that can be reached by several paths gets one without links, if there is one.

    Args:
        root: a folder.
        apart: a folder that is left out if it is below `root`, since it is listed on its own.
    """
    top, apart = os.path.abspath(root), apart and os.path.abspath(apart)
    pending = [(0, "", top)]
    seen: set[tuple[int, int]] = set()
    while pending:
        rank, prefix, folder = heapq.heappop(pending)
        beginning = os.path.join(folder, "")
        try:
            for files, folders in _parts(folder, seen):
                for name in files:
                    yield Entry(prefix + name, beginning + name)
                for name, is_link in folders:
                    key, path = prefix + name, beginning + name
                    if path == apart:
                        continue
                    below = max(rank, _rank(name, is_link))
                    if not (below == _HIDDEN and is_link):
                        heapq.heappush(pending, (below, key + "/", path))
                    yield Entry(key, path, is_folder=True)
        except OSError as error:
            detail = f"{type(error).__name__}: {error}"
            yield Entry(prefix[:-1] or ".", folder, is_folder=True, error=detail)


def left_out_as(key: str, taken: Collection[str]) -> str:
    """Returns the name under which an ignored file is counted; empty for a file that is taken.

    Args:
        key: its path below a root.
        taken: suffixes in lower case; an empty one takes files without any.
    """
    if key.startswith(".") or "/." in key:
        return HIDDEN
    suffix = suffix_of(key)
    if not suffix and key.startswith("_") and "/" not in key:  # `_SUCCESS`: an upload is complete
        return MARKER
    return "" if suffix in taken else suffix or NO_SUFFIX


def suffix_of(key: str) -> str:
    """Returns the last dot of a name and the rest, in lower case; empty if there is none.

    >>> suffix_of("north/scene.TIF")
    '.tif'
    >>> suffix_of("north.v2/scene")
    ''
    """
    before, _, after = key.rpartition(".")
    return "" if not before or "/" in after else f".{after.lower()}"


def _rank(name: str, is_link: bool) -> int:
    """Ranks folders for traversal, since the first path to a folder counts."""
    return _HIDDEN if name.startswith(".") else int(is_link)


def _parts(
    folder: str, seen: set[tuple[int, int]]
) -> Iterator[tuple[list[str], list[tuple[str, bool]]]]:
    """Yields the names in a folder, a limited number at a time: those of files, sorted, and those
    of folders, each with whether it is a link. Yields nothing for a folder that was entered before.
    """
    status = os.stat(folder)
    if (status.st_dev, status.st_ino) in seen:
        return
    seen.add((status.st_dev, status.st_ino))
    files: list[str] = []
    folders: list[tuple[str, bool]] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if _is_folder(entry):
                folders.append((entry.name, entry.is_symlink()))
            else:
                files.append(entry.name)
            if len(files) + len(folders) == _MOST_NAMES:
                yield sorted(files), folders
                files, folders = [], []
    yield sorted(files), folders


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a symbolic link to itself; reading it reports that
        return False
