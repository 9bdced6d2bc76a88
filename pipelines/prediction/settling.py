"""Files that have arrived: those that did not change from one look to the next."""

from collections.abc import Iterable, Iterator

from components.raster.file_state import state_of
from components.raster.location import is_remote
from pipelines.prediction.table import escaped


class Settling:
    """Yields each file once.

    It remembers the files that are still there: memory is bounded by what the source holds.

    Args:
        known: files that count as yielded; escaped.
    """

    def __init__(self, known: Iterable[str] = ()) -> None:
        self._known = set(known)
        self._seen: dict[str, str] = {}

    def arrived(self, uris: Iterable[str], unlisted: tuple[str, ...] = ()) -> Iterator[str]:
        """Yields the files that have arrived, in order.

        Args:
            uris: addresses of all files that this look found.
            unlisted: folders that could not be listed; files in them are not forgotten.
        """
        listed = {escaped(uri): uri for uri in uris}
        self._known = {it for it in self._known if it in listed or it.startswith(unlisted)}
        now = {uri: _state(uri) for name, uri in listed.items() if name not in self._known}
        seen, self._seen = self._seen, {}
        for uri in sorted(now):
            if now[uri] and seen.get(uri) == now[uri]:
                self._known.add(escaped(uri))
                yield uri
            else:
                self._seen[uri] = now[uri]


def _state(uri: str) -> str:
    """Returns a file's state; empty where it is gone."""
    if is_remote(uri):
        return "stored"  # objects appear whole
    try:
        return str(state_of(uri))
    except OSError:
        return ""
