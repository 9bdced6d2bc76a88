"""The source of a watch, with the fingerprint that runs use."""

from dataclasses import dataclass
from typing import Protocol

from components.ingest.choose_span import Spanned, choose_span
from components.ingest.fingerprint import fingerprint_dataset
from components.ingest.source_state import changed_at, marker_path, source_state
from components.raster.errors import SkymillError
from components.raster.masking import masked
from components.raster.spatial.rules import SplitRule
from pipelines.watch.state import WatchError, explain


@dataclass(frozen=True)
class Look:
    """Result of a cheap look at a source.

    Attributes:
        token: changes whenever the data may have changed.
        ready: the marker, if one is configured, shows that the upload is complete.
        files: number of files.
    """

    token: str
    ready: bool
    files: int


class WatchedData(Spanned, Protocol):
    """A configuration that names data to watch: ingest's, or that of predictions."""

    @property
    def split_by(self) -> SplitRule | None: ...


class PolledSource:
    """Source of a pipeline; for one with spans, the span that a run would read now."""

    def __init__(
        self, data: WatchedData, marker: str | None = None, *, by_content: bool = True
    ) -> None:
        """Stores what to watch.

        Args:
            data: names the source.
            marker: of a complete upload.
            by_content: runs identify their data by the files' content, not by their state.

        Raises:
            ConfigError: the source cannot have a marker.
        """
        self._data = data
        self._marker = marker
        self._by_content = by_content
        if marker:
            marker_path(data.source, marker)

    @property
    def uri(self) -> str:
        """URI of the source, without an address's password and query."""
        return masked(self._data.source.uri)

    def look(self) -> Look:
        """Looks at the source; raises WatchError if it cannot be read."""
        try:
            now = choose_span(self._data)
            seen = source_state(now.source, now.split_by)
            return Look(seen.token, self._is_complete(now, seen.newest), seen.files)
        except Exception as error:
            raise _unreadable(self.uri, error) from error

    def fingerprint(self) -> str:
        """Computes the fingerprint as a run does; raises WatchError for an unreadable source."""
        try:
            now = choose_span(self._data)
            if not self._by_content:
                return source_state(now.source, now.split_by).token
            return fingerprint_dataset(now.source, now.split_by)
        except Exception as error:
            raise _unreadable(self.uri, error) from error

    def _is_complete(self, now: WatchedData, newest: float) -> bool:
        """Checks the marker; one that is older than the data belongs to the previous upload."""
        if self._marker is None:
            return True
        written = changed_at(marker_path(now.source, self._marker))
        return written is not None and written >= newest


def _unreadable(uri: str, error: Exception) -> WatchError:
    """Wraps an error of a store or server, of any type, so that it does not end the watch."""
    ours = isinstance(error, SkymillError)
    return WatchError(explain(error) if ours else f"{uri}: cannot be looked at ({explain(error)})")
