"""Objects below a URI of a store, by their relative names; errors name the store."""

import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.raster.errors import DataError, SkymillError
from serving.store.layout import StoredObject
from serving.store.manifest import MANIFEST_FILE, Manifest
from serving.store.versions import PushError

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

_CHUNK_BYTES = 1 << 20


class StoreError(PushError):
    """A store cannot be reached, or does not hold the expected objects."""


class StoreFiles:
    """Reads, writes and lists objects; every method raises StoreError if the store refuses."""

    def __init__(self, uri: str, files: "FileSystem | None" = None) -> None:
        """Args: `files` is the file system of the URI's path; by default the URI's own."""
        self.uri = uri.rstrip("/")
        self._root = self.uri.partition("://")[2]
        self._files = files

    def listing(self) -> dict[str, StoredObject]:
        """Returns every object, by its name."""
        from pyarrow.fs import FileSelector

        with self._reached() as files:
            selector = FileSelector(self._root, recursive=True, allow_not_found=True)
            return {
                info.path.removeprefix(f"{self._root}/"): StoredObject(
                    info.size or 0, info.mtime or datetime.now(UTC)
                )
                for info in files.get_file_info(selector)
                if info.is_file
            }

    def are_there(self, names: Iterable[str]) -> bool:
        """Checks each of these objects by its name, because a listing may be incomplete."""
        with self._reached() as files:
            paths = [f"{self._root}/{name}" for name in names]
            return all(info.is_file for info in files.get_file_info(paths))

    def chunks(self, name: str) -> Iterator[bytes]:
        """Yields the bytes of an object; only the store's own errors become StoreError."""
        path = f"{self._root}/{name}"
        with self._reached() as files, files.open_input_stream(path, compression=None) as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                yield chunk

    def upload(self, content: bytes | Path, name: str) -> None:
        """Writes an object from bytes or from a local file."""
        path = f"{self._root}/{name}"
        local = io.BytesIO(content) if isinstance(content, bytes) else content.open("rb")
        with (
            local as source,
            self._reached() as files,
            files.open_output_stream(path, compression=None) as target,
        ):
            while chunk := source.read(_CHUNK_BYTES):
                target.write(chunk)

    def copy(self, source: str, target: str) -> None:
        """Has the store copy an object."""
        with self._reached() as files:
            files.copy_file(f"{self._root}/{source}", f"{self._root}/{target}")

    def remove(self, names: Iterable[str]) -> None:
        """Deletes these objects, in this order; one that is gone already is no error."""
        for name in names:
            with self._reached() as files, suppress(FileNotFoundError):
                files.delete_file(f"{self._root}/{name}")

    def remove_folder(self, name: str) -> None:
        """Deletes every object below a name."""
        # delete_dir deletes the folder's own object last; Cloud Storage does not have one.
        with self._reached() as files, suppress(FileNotFoundError):
            files.delete_dir(f"{self._root}/{name}")

    @contextmanager
    def _reached(self) -> Iterator[Any]:
        """Yields the file system; its errors name the store and suggest a remedy."""
        from pyarrow import ArrowException, fs

        try:
            if self._files is None:
                self._files, _ = fs.FileSystem.from_uri(self.uri)
            yield self._files
        except SkymillError:
            raise
        except (OSError, ArrowException) as error:
            raise StoreError(
                f"{self.uri}: {error}. Look at the address, the credentials and what they may do"
            ) from error


def read_manifest(store: StoreFiles, folder: str) -> Manifest:
    """Reads the manifest in a folder of a store; raises StoreError if missing or invalid."""
    name = f"{folder}/{MANIFEST_FILE}"
    try:
        return Manifest.from_json(b"".join(store.chunks(name)), f"{store.uri}/{name}")
    except DataError as error:
        raise StoreError(str(error)) from error
