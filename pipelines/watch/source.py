"""What a watch looks at: the very source, with the very fingerprint, that runs take."""

from dataclasses import dataclass

from components.ingest.config import IngestConfig
from components.ingest.fingerprint import fingerprint_dataset
from components.ingest.glance import changed_at, glance_at, marker_path
from components.ingest.span_choice import choose_span
from components.raster.errors import SkymillError
from components.raster.masking import masked
from pipelines.watch.state import WatchError, told


@dataclass(frozen=True)
class Look:
    """A look at a source.

    Attributes:
        token: another one whenever the data may be other.
        ready: the marker, if one is asked for, says that the upload is complete.
        files: how many there are.
    """

    token: str
    ready: bool
    files: int


class Source:
    """The source of a pipeline; of one that comes in spans, whatever span a run would read now."""

    def __init__(self, ingest: IngestConfig, marker: str | None = None) -> None:
        """Raises ConfigError when there is no place for a marker."""
        self._ingest = ingest
        self._marker = marker
        if marker:
            marker_path(ingest.source, marker)

    @property
    def uri(self) -> str:
        """Where it lies, without the password and the query of an address."""
        return masked(self._ingest.source.uri)

    def look(self) -> Look:
        """Raises WatchError when the source cannot be looked at."""
        try:
            now = choose_span(self._ingest)
            seen = glance_at(now.source, now.split_by)
            return Look(seen.token, self._is_complete(now, seen.newest), seen.files)
        except Exception as error:
            raise _unreadable(self.uri, error) from error

    def fingerprint(self) -> str:
        """Takes the fingerprint as a run would; raises WatchError for an unreadable source."""
        try:
            now = choose_span(self._ingest)
            return fingerprint_dataset(now.source, now.split_by)
        except Exception as error:
            raise _unreadable(self.uri, error) from error

    def _is_complete(self, now: IngestConfig, newest: float) -> bool:
        """A marker that is older than the data is of the upload before."""
        if self._marker is None:
            return True
        written = changed_at(marker_path(now.source, self._marker))
        return written is not None and written >= newest


def _unreadable(uri: str, error: Exception) -> WatchError:
    """Stores and servers raise kinds of their own; none of them may end a watch."""
    ours = isinstance(error, SkymillError)
    return WatchError(told(error) if ours else f"{uri}: cannot be looked at ({told(error)})")
