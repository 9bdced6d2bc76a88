"""Checksums that represent the content of files, local or remote."""

import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from components.ingest.files.remote import content_state
from components.raster.fingerprint import FileMark, marks_of_files
from components.raster.location import is_remote

WEB = ("http://", "https://")
#: Represents content without any known state.
UNKNOWN = "?"
_WEB_TIMEOUT_S = 30.0
_STATE_HEADERS = ("ETag", "Last-Modified", "Content-Length")
_STORE_REQUESTS = 32  # at a time: a store answers each in tens of milliseconds


def content_checksums(uris: Sequence[str]) -> dict[str, str]:
    """Returns the sha256 of local files, and a state that represents the content of remote ones."""
    return {uri: mark.checksum for uri, mark in content_marks(uris).items()}


def content_marks(uris: Sequence[str]) -> dict[str, FileMark]:
    """Returns `content_checksums` with the state of each local file before it was read."""
    local = [uri for uri in uris if not is_remote(uri)]
    found = dict(zip(local, marks_of_files(local), strict=True))
    remote = _remote_checksums([uri for uri in uris if is_remote(uri)])
    return found | {uri: FileMark(checksum) for uri, checksum in remote.items()}


def _remote_checksums(uris: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    web = [uri for uri in uris if uri.startswith(WEB)]
    if web:
        with ThreadPoolExecutor(_STORE_REQUESTS) as pool:
            found |= dict(zip(web, pool.map(_web_checksum, web), strict=True))
    return found | _store_checksums([uri for uri in uris if not uri.startswith(WEB)])


def _web_checksum(url: str) -> str:
    """Returns a web server's state of a file, without its content."""
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
