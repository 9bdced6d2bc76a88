"""Snapshots: consistency of a source between the start of a run and the end of reading.

The fingerprint of a run names its data, in caches and in the provenance of models. It is taken
before the run, and files may be added, removed or changed until ingest has read the last of them.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import tee
from typing import Any, Self

from components.ingest.config import IngestConfig
from components.ingest.files.checksums import content_checksums, content_marks
from components.ingest.fingerprint import fingerprint_input, fingerprint_with, same_data
from components.ingest.records.family import ChecksumsOf, Entries, FingerprintInput
from components.ingest.sources import family_of
from components.raster.batched import batched
from components.raster.errors import DataError
from components.raster.file_state import FileState, state_of
from components.raster.fingerprint import FileMark
from components.raster.location import local_path

_NAMED = 3
_MOST_AT_ONCE = 1024  # files whose checksums are held
_START_AGAIN = (
    "Nothing was kept. Run again once nobody writes there; a run that is started by a marker "
    "(skymill watch) waits for the end of an upload."
)


class SourceChanged(DataError):
    """The source has changed since the run was started."""


@dataclass(frozen=True, eq=False)
class Snapshot:
    """Contents of a source and checksums of its files, before ingest reads any of them.

    Attributes:
        found: result of the family's `find`; the basis of the listing.
    """

    config: IngestConfig
    found: Any
    _covered: FingerprintInput
    _marks: Mapping[str, FileMark]

    @classmethod
    def take(cls, config: IngestConfig) -> Self:
        """Takes a snapshot of the source now.

        Raises:
            DataError: the source as a whole cannot be read.
            SourceChanged: it changed meanwhile.
        """
        family = family_of(config.source)
        read_first = _marks_of(family.files_read_to_find())  # workers read them again
        found = family.find()
        covered = fingerprint_input(config.source, config.split_by, found)
        marks = _marks_of(covered.looked_at())
        _refuse(config, _changed(read_first, marks))
        return cls(config, found, covered, marks)

    @property
    def is_complete(self) -> bool:
        """True if the fingerprint is known before workers have read anything."""
        return next(iter(self._covered.read_whole()), None) is None

    def require(self, started_for: str | None, digests: Iterable[bytes] = ()) -> str:
        """Returns the fingerprint of the data.

        Args:
            started_for: fingerprint of the data for which the run was started; None for any.
            digests: of the entries that workers report for the bytes that they read.

        Raises:
            SourceChanged: the run was started for other data.
        """
        found = fingerprint_with(self._checksums, self._entries_beside, digests)
        if started_for is None:
            return found
        if not same_data(started_for, found):
            newest = max(self._covered.files(), key=_changed_at, default="")
            raise SourceChanged(
                f"{self.config.source.uri} has changed since this run was started: the "
                f"fingerprint of its data was {started_for} then and is {found} now "
                f"(changed last: {newest or 'no file'}). {_START_AGAIN}"
            )
        return started_for

    def require_unchanged(self) -> None:
        """Raises SourceChanged if a file was changed, added or removed since the snapshot.

        Files that workers read whole are left to `require`; later changes of them do not matter.
        """
        covered = fingerprint_input(self.config.source, self.config.split_by, self.found)
        now = _marks_after(self._marks, list(covered.looked_at()))
        _refuse(self.config, _changed(self._marks, now) | (now.keys() - self._marks.keys()))

    def _entries_beside(self, checksums_of: ChecksumsOf) -> Entries:
        return self._covered.entries_beside(checksums_of, self.config.classes)

    def _checksums(self, paths: Iterable[str]) -> Iterator[str]:
        """Yields the checksum of each file. Those that were left out for their class are read now,
        since only the fingerprint depends on their content."""
        for some in batched(paths, _MOST_AT_ONCE):
            unmarked = content_checksums(path for path in some if path not in self._marks)
            for path in some:
                mark = self._marks.get(path)
                yield next(unmarked) if mark is None else mark.checksum


def _marks_of(paths: Iterable[str]) -> dict[str, FileMark]:
    one, two = tee(paths)
    return dict(zip(one, content_marks(two), strict=True))


def _changed_at(path: str) -> int:
    """Returns when a local file was last changed; for a removed file, its folder."""
    for place in (local_path(path), os.path.dirname(local_path(path))):
        try:
            status = os.stat(place)
        except OSError:
            continue
        return max(status.st_mtime_ns, status.st_ctime_ns)
    return 0


def _marks_after(before: Mapping[str, FileMark], files: Sequence[str]) -> dict[str, FileMark]:
    """Marks files; reads only those that may have changed since their mark in `before`."""
    proven = {
        path: before[path] for path in files if path in before and _is_proven(path, before[path])
    }
    return proven | _marks_of(path for path in files if path not in proven)


def _is_proven(path: str, mark: FileMark) -> bool:
    """Checks whether a file's state proves that its content is still that of the mark."""
    if mark.state is None or not mark.was_old:
        return False
    try:
        return _times(state_of(path)) == _times(mark.state)
    except OSError:
        return False


def _changed(before: Mapping[str, FileMark], after: Mapping[str, FileMark]) -> set[str]:
    return {uri for uri, mark in before.items() if not _same(mark, after.get(uri))}


def _same(before: FileMark, after: FileMark | None) -> bool:
    """Checks whether a file had one content between the two marks.

    A file system in user space may assign a file another inode at any time, so the inode alone
    means nothing; a rewritten file is not the same, even if its content was restored.
    """
    if after is None or before.checksum != after.checksum:
        return False
    return _times(before.state) == _times(after.state)


def _times(state: FileState | None) -> tuple[int, int, int] | None:
    return None if state is None else (state.size, state.written_ns, state.changed_ns)


def _refuse(config: IngestConfig, changed: set[str]) -> None:
    if changed:
        shown = ", ".join(sorted(changed)[:_NAMED])
        raise SourceChanged(
            f"{config.source.uri}: {len(changed)} files changed while this run read them, such as "
            f"{shown}. {_START_AGAIN}"
        )
