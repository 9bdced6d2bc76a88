"""Checksums that represent the content of local or remote files."""

import urllib.request
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, groupby

from components.ingest.files.remote import content_state
from components.raster.batched import batched
from components.raster.fingerprint import FileMark, marks_of_files
from components.raster.location import is_remote

WEB = ("http://", "https://")
#: Represents content whose state is unknown.
UNKNOWN = "?"
_WEB_TIMEOUT_S = 30.0
_STATE_HEADERS = ("ETag", "Last-Modified", "Content-Length")
_STORE_REQUESTS = 32  # at a time: a store answers each in tens of milliseconds
_MOST_AT_ONCE = 1024  # files whose checksums are held


def content_checksums(uris: Iterable[str]) -> Iterator[str]:
    """Yields, in order, the sha256 of each local file, or a state that represents the content of
    a remote one."""
    return (mark.checksum for mark in content_marks(uris))


def content_marks(uris: Iterable[str]) -> Iterator[FileMark]:
    """Yields `content_checksums`, with the state of each local file before it was read."""
    parts = batched(uris, _MOST_AT_ONCE)
    for some_remote, alike in groupby(parts, lambda part: any(map(is_remote, part))):
        if some_remote:
            yield from chain.from_iterable(map(_marks_of_part, alike))
        else:  # in one call, which learns how slow the files are to read
            yield from marks_of_files(chain.from_iterable(alike))


def _marks_of_part(uris: Sequence[str]) -> Iterator[FileMark]:
    local = marks_of_files(uri for uri in uris if not is_remote(uri))
    remote = _remote_checksums([uri for uri in uris if is_remote(uri)])
    return (FileMark(remote[uri]) if is_remote(uri) else next(local) for uri in uris)


def _remote_checksums(uris: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    web = [uri for uri in uris if uri.startswith(WEB)]
    if web:
        with ThreadPoolExecutor(_STORE_REQUESTS) as pool:
            found |= dict(zip(web, pool.map(_web_checksum, web), strict=True))
    return found | _store_checksums([uri for uri in uris if not uri.startswith(WEB)])


def _web_checksum(url: str) -> str:
    """Returns a file's state on a web server, without fetching its content."""
    request = urllib.request.Request(url, method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=_WEB_TIMEOUT_S) as answer:
            stated = [answer.headers.get(name) for name in _STATE_HEADERS]
    except (OSError, ValueError):
        return UNKNOWN
    return "|".join(value or "" for value in stated) if any(stated) else UNKNOWN


def _store_checksums(uris: Sequence[str]) -> dict[str, str]:
    if not uris:
        return {}
    with ThreadPoolExecutor(_STORE_REQUESTS) as pool:
        return dict(zip(uris, pool.map(_store_checksum, uris), strict=True))


def _store_checksum(uri: str) -> str:
    try:
        return content_state(uri)
    except Exception:  # every store raises its own exceptions
        return UNKNOWN
