"""Cheap check whether a source has changed since the last run, without reading its files.

It covers the same files as the fingerprint; a file counts by its size and times, a local one also
by its inode. Data in the same state have the same fingerprint, unless the clock was set back. The
converse does not hold: a touched file looks new.
"""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from components.ingest.config import SourceConfig
from components.ingest.files.checksums import WEB
from components.ingest.files.remote import remote_files, root_of
from components.ingest.fingerprint import fingerprint_input, fingerprint_with
from components.raster.errors import ConfigError, DataError, SkymillError
from components.raster.file_state import FileState
from components.raster.location import is_remote, local_path
from components.raster.spatial.rules import SplitRule

_MISSING = "!missing"
#: Resolution of times: a store may record whole seconds.
_STORE_TICK_S = 2.0


@dataclass(frozen=True)
class SourceState:
    """State of a source, from its listing.

    Attributes:
        token: changes whenever the data may have changed.
        files: number of files.
        newest: time of the last change of any of them, in seconds since 1970.
    """

    token: str
    files: int
    newest: float


class Stamp(NamedTuple):
    """State of a file, determined without reading it.

    Attributes:
        state: changes whenever the content may have changed.
        changed: time of the last change, in seconds since 1970.
        is_proof: the same state at two times proves the same content. False for a file that is
            missing, has just been written, or lies on a web server.
    """

    state: str
    changed: float
    is_proof: bool = False


def source_state(source: SourceConfig, split_by: SplitRule | None = None) -> SourceState:
    """Lists a source.

    Files on web servers are not queried: their catalogue or manifest shows what is new.

    Raises:
        DataError: the source as a whole cannot be read.
    """
    covered = fingerprint_input(source, split_by)
    seen = look(list(covered.files()))
    token = fingerprint_with(lambda uris: (seen[uri].state for uri in uris), covered.entries)
    return SourceState(token, len(seen), max((one.changed for one in seen.values()), default=0.0))


def marker_path(source: SourceConfig, name: str) -> str:
    """Returns the path of a marker of a complete upload, in the source's own folder.

    Raises:
        ConfigError: the source is neither a folder nor a file in one.
    """
    if not source.in_a_folder:
        raise ConfigError(
            f"a marker lies in a folder, and a {source.kind.upper()} source has none: leave it out"
        )
    uri = source.uri if is_remote(source.uri) else local_path(source.uri)
    if os.path.splitext(uri)[1] and not os.path.isdir(uri):
        uri = os.path.dirname(uri)
    return f"{uri.rstrip('/')}/{name}"


def changed_at(uri: str) -> float | None:
    """Returns when a file was last changed, in seconds since 1970; None for a missing file."""
    found = look([uri])[uri]
    return None if found.state == _MISSING else found.changed


def look(uris: Sequence[str]) -> dict[str, Stamp]:
    """Returns the stamp of each file."""
    found = {uri: _local(uri) for uri in uris if not is_remote(uri)}
    found |= {uri: Stamp("", 0.0) for uri in uris if uri.startswith(WEB)}
    return found | _stored([uri for uri in uris if uri not in found])


def _local(path: str) -> Stamp:
    try:
        status = os.stat(local_path(path))
    except OSError as error:
        missing = isinstance(error, FileNotFoundError | NotADirectoryError)
        return Stamp(_MISSING if missing else f"!{type(error).__name__}", 0.0)
    state = FileState.of(status)
    return Stamp(str(state), status.st_mtime, state.is_old)


def _stored(uris: Sequence[str]) -> dict[str, Stamp]:
    """Returns the state of objects in stores, by one listing of each bucket's common prefix."""
    buckets: dict[str, list[str]] = {}
    for uri in uris:
        buckets.setdefault("/".join(uri.split("/", 3)[:3]), []).append(uri)
    found: dict[str, Stamp] = {}
    for held in buckets.values():
        found |= _listed(held)
    return {uri: found.get(uri, Stamp(_MISSING, 0.0)) for uri in uris}


def _listed(uris: Sequence[str]) -> dict[str, Stamp]:
    scheme = uris[0].partition("://")[0]
    shared = os.path.commonpath([os.path.dirname(uri.partition("://")[2]) for uri in uris])
    place = uris[0] if len(uris) == 1 else f"{scheme}://{shared}"
    files, path = remote_files(place)
    try:
        one = files.find(path) if len(uris) == 1 else None
        found = files.listing(path) if len(uris) > 1 else {path: one} if one else {}
    except SkymillError:
        raise
    except Exception as error:  # every file system of Beam raises its own exceptions
        raise DataError(f"{place}: cannot be listed ({type(error).__name__}: {error})") from error
    return {
        f"{root_of(place)}{name}": Stamp(
            f"{it.size_bytes}|{it.changed.timestamp()}|{it.etag}",
            it.changed.timestamp(),
            time.time() - it.changed.timestamp() > _STORE_TICK_S,
        )
        for name, it in found.items()
    }
