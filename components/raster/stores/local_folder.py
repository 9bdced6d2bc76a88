"""Local folder as an object store."""

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from components.raster.full_disk import full_disk_as_error
from components.raster.stores.object_store import (
    ABSENT,
    ObjectMissing,
    Revision,
    StorageError,
    StoredObject,
)

_CHUNK_BYTES = 1 << 20
_PARTIAL_PREFIX = ".partial-"


class LocalFolder:
    """Files below a folder. A write renames a finished file, so no reader sees a part of one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def uri(self) -> str:
        return str(self._folder)

    def listing(self, folder: str = "") -> dict[str, StoredObject]:
        with self._translated(folder):
            found = (path for path in (self._folder / folder).rglob("*") if path.is_file())
            return {
                path.relative_to(self._folder).as_posix(): _properties(path)
                for path in found
                if not path.name.startswith(_PARTIAL_PREFIX)
            }

    def find(self, name: str) -> StoredObject | None:
        path = self._folder / name
        with self._translated(name):
            return _properties(path) if path.is_file() else None

    def read(self, name: str, max_bytes: int | None = None) -> bytes:
        with self._translated(name), (self._folder / name).open("rb") as file:
            return file.read(-1 if max_bytes is None else max_bytes)

    def chunks(self, name: str) -> Iterator[bytes]:
        with self._translated(name), (self._folder / name).open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                yield chunk

    def revision(self, name: str) -> Revision:
        try:
            content = self.read(name)
        except ObjectMissing:
            return Revision(None, ABSENT)
        return Revision(content, hashlib.sha256(content).hexdigest())

    def write(self, name: str, content: bytes | Path) -> None:
        path = self._folder / name
        with self._translated(name):
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, partial = tempfile.mkstemp(dir=path.parent, prefix=_PARTIAL_PREFIX)
            try:
                with os.fdopen(handle, "wb") as file:
                    if isinstance(content, bytes):
                        file.write(content)
                    else:
                        with content.open("rb") as source:
                            shutil.copyfileobj(source, file, _CHUNK_BYTES)
                os.chmod(partial, 0o644)
                os.replace(partial, path)
            except BaseException:
                os.unlink(partial)
                raise

    def replace(self, name: str, content: bytes, version: str) -> bool:
        with self._locked(name):
            if self.revision(name).version != version:
                return False
            self.write(name, content)
            return True

    def copy(self, source: str, target: str) -> None:
        if self.find(source) is None:
            raise ObjectMissing(f"{self._folder / source}: there is no such file")
        self.write(target, self._folder / source)

    def delete(self, name: str) -> None:
        with self._translated(name):
            (self._folder / name).unlink(missing_ok=True)

    @contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        """Blocks other replacements in an object's folder, by any process."""
        parent = (self._folder / name).parent
        with self._translated(name):
            parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(parent, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    @contextmanager
    def _translated(self, name: str) -> Iterator[None]:
        place = self._folder / name
        try:
            with full_disk_as_error():
                yield
        except (FileNotFoundError, NotADirectoryError) as error:
            raise ObjectMissing(f"{place}: there is no such file") from error
        except OSError as error:
            raise StorageError(f"{place}: {error.strerror or error}") from error


def _properties(path: Path) -> StoredObject:
    status = path.stat()
    return StoredObject(status.st_size, datetime.fromtimestamp(status.st_mtime, UTC))
