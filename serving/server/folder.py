"""Reading of the version folder, which never blocks on a dead mount."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from serving.server.detached import detached
from serving.store.versions import Version, ignored_folders, is_complete, numbered_folders

logger = logging.getLogger(__name__)

T = TypeVar("T")

_PATIENCE_S = 5.0


@dataclass(frozen=True)
class FoundVersion:
    """A version's folder; the fingerprint changes with its files."""

    path: Path
    is_complete: bool
    fingerprint: object


@dataclass(frozen=True)
class FolderState:
    """Complete versions, and versions whose state is unknown for now."""

    complete: dict[int, FoundVersion]
    unknown: frozenset[int]


class VersionFolder:
    """Folder of versions on file systems that may fail, or never answer."""

    def __init__(self, model_base: Path, patience_s: float = _PATIENCE_S) -> None:
        self._base = model_base
        self._patience_s = patience_s
        self._pending: dict[Path, asyncio.Future[Any]] = {}
        self._logged: dict[Path, str] = {}
        self._ignored: dict[str, str] = {}

    async def read(self, known: Mapping[int, Path] = MappingProxyType({})) -> FolderState | None:
        """Reads the folder; returns None if that fails. Logs each problem once.

        Args:
            known: versions of an earlier read. One that is missing in the listing is checked by its
                path, because a listing may be incomplete.
        """
        listed = await self._query(self._base, _list)
        if listed is None:
            return None
        versions, ignored = listed
        listed_numbers = {version.number for version in versions}
        versions += [Version(n, path) for n, path in known.items() if n not in listed_numbers]
        self._log_ignored(ignored)
        answers = await asyncio.gather(*(self._query(v.path, _probe) for v in versions))
        return _state_of(zip(versions, answers, strict=True))

    async def _query(self, path: Path, query: Callable[[Path], T]) -> T | None:
        """Runs a query in a thread, or returns None; a query without an answer is not repeated."""
        pending, timeout_s = self._pending.get(path), 0.0
        if pending is None:
            pending, timeout_s = detached(query, path), self._patience_s
            self._pending[path] = pending
        await asyncio.wait({pending}, timeout=timeout_s)
        if not pending.done():
            self._log_once(
                path, f"does not answer within {self._patience_s:g} s; it is left unchanged"
            )
            return None
        del self._pending[path]
        try:
            answer: T = pending.result()
        except OSError as error:
            self._log_once(path, f"cannot be read: {error}")
            return None
        self._logged.pop(path, None)
        return answer

    def _log_ignored(self, ignored: dict[str, str]) -> None:
        for name, reason in ignored.items():
            if self._ignored.get(name) != reason:
                logger.warning("%s is not served: %s", self._base / name, reason)
        self._ignored = ignored

    def _log_once(self, path: Path, what: str) -> None:
        if self._logged.get(path) != what:
            self._logged[path] = what
            logger.warning("%s %s", path, what)


def _state_of(answers: Iterable[tuple[Version, FoundVersion | None]]) -> FolderState:
    complete: dict[int, FoundVersion] = {}
    unknown = set()
    for version, found in answers:
        if found is None:
            unknown.add(version.number)
        elif found.is_complete:
            complete.setdefault(version.number, found)
    return FolderState(complete, frozenset(unknown - complete.keys()))


def _list(model_base: Path) -> tuple[list[Version], dict[str, str]]:
    return numbered_folders(model_base), ignored_folders(model_base)


def _probe(path: Path) -> FoundVersion:
    return FoundVersion(path, is_complete(path), _fingerprint(path))


def _fingerprint(path: Path) -> object:
    """Returns a value that changes whenever a file of the version does."""
    try:
        stats = [(entry, entry.stat()) for entry in sorted(path.rglob("*"))]
    except OSError:
        return None
    return tuple((str(entry), stat.st_size, stat.st_mtime_ns) for entry, stat in stats)
