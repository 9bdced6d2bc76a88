"""Files at URIs: those in object stores directly, others through Beam's FileSystems.

Beam is imported only for schemes that nothing else supports.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Protocol

from components.raster.stores.object_store import StoredObject
from components.raster.stores.opening import is_object_store, shared_bucket


class RemoteFiles(Protocol):
    """Files of one bucket or host, by their paths in it; errors are those of the store."""

    def listing(self, folder: str = "") -> dict[str, StoredObject]:
        """Returns the files below a folder by their paths."""
        ...

    def find(self, name: str) -> StoredObject | None:
        """Returns one file's properties, or None."""
        ...

    def read(self, name: str, max_bytes: int | None = None) -> bytes:
        """Returns a file's content, or its start; raises ObjectMissing or FileNotFoundError."""
        ...


class BeamFiles:
    """Files read by Beam's FileSystems, such as those at `hdfs://`."""

    def __init__(self, root: str) -> None:
        """Takes the scheme and host, with a slash, as `root`."""
        self._root = root

    def listing(self, folder: str = "") -> dict[str, StoredObject]:
        below = f"{folder}/" if folder else ""
        return dict(self._matches(f"{below}**"))

    def find(self, name: str) -> StoredObject | None:
        return dict(self._matches(name)).get(name)

    def read(self, name: str, max_bytes: int | None = None) -> bytes:
        with beam_files().open(f"{self._root}{name}", compression_type="uncompressed") as file:
            data: bytes = file.read() if max_bytes is None else file.read(max_bytes)
        return data

    def checksum(self, name: str) -> str:
        """Returns the file system's checksum, or another value that changes with the content."""
        return str(beam_files().checksum(f"{self._root}{name}"))

    def _matches(self, pattern: str) -> Iterator[tuple[str, StoredObject]]:
        for it in beam_files().match([f"{self._root}{pattern}"])[0].metadata_list:
            changed = datetime.fromtimestamp(it.last_updated_in_seconds or 0.0, UTC)
            name = it.path.removeprefix(self._root)
            yield name, StoredObject(it.size_in_bytes, changed)


def beam_files() -> Any:
    """Returns Beam's FileSystems, also outside its workers, where S3 requires options."""
    from apache_beam.io.filesystems import FileSystems
    from apache_beam.options.pipeline_options import PipelineOptions

    if FileSystems._pipeline_options is None:
        FileSystems.set_options(PipelineOptions([]))
    return FileSystems


def remote_files(uri: str) -> tuple[RemoteFiles, str]:
    """Returns the files of the bucket or host that a URI names, and the URI's path in it."""
    root = root_of(uri)
    name = uri[len(root) :]
    return (shared_bucket(root) if is_object_store(uri) else BeamFiles(root)), name


def root_of(uri: str) -> str:
    """Returns the scheme and host of a URI, with the slash before the path."""
    scheme, _, path = uri.partition("://")
    return f"{scheme}://{path.partition('/')[0]}/"


def content_state(uri: str) -> str:
    """Returns a store's checksum or version of a file, which changes with its content."""
    files, name = remote_files(uri)
    if isinstance(files, BeamFiles):
        return files.checksum(name)
    found = files.find(name)
    if found is None:
        raise FileNotFoundError(uri)
    return found.etag or f"{found.size_bytes}|{found.changed.timestamp()}"
