"""Versions in an object store (`s3://`, `gs://`), which renames no folder.

    <base>/<integer>/            the model, provenance/, manifest.json and saved_model.pb last
    <base>/.push/<integer>-<id>/ what a push has uploaded so far

A push uploads into a folder of its own, which may take minutes, and then has the store copy the
objects to the version's name, which takes a moment: the model's file last, the manifest before it.
A version counts when both are there. A server that watches `gs://` itself sees the version's name
in that moment already, fails to load it once, and tries again (TensorFlow Serving: a minute later).
"""

import uuid
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.raster.errors import DataError, SkymillError
from serving.manifest import MANIFEST_FILE, Manifest, StoredFile
from serving.versions import (
    MODEL_FILE,
    PROVENANCE_DIR,
    PushError,
    checked_model,
    checked_provenance,
    refuse_stale_baseline,
    sync_folder,
    to_retire,
    write_durably,
)

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

SCHEMES = ("s3://", "gs://")
_PUSHES = ".push"
_CLAIM = "claim"
_CHUNK_BYTES = 1 << 20
#: No push takes so long: what is older was left behind by one that was killed.
_LEFTOVER_AGE = timedelta(days=1)


class StoreError(PushError):
    """A store cannot be reached, or does not hold what it should."""


class ObjectStore:
    """The versions of one model below a URI.

    Credentials and endpoints are found as the store's own libraries find them: `AWS_ACCESS_KEY_ID`,
    `AWS_ENDPOINT_URL` (MinIO) and their like, or Google's application default credentials.
    """

    def __init__(self, model_base: str, files: "FileSystem | None" = None) -> None:
        """Args: `files` is the file system that the URI's path lies in; by default its own."""
        self._uri = model_base.rstrip("/")
        self._root = self._uri.partition("://")[2]
        self._files = files

    def numbers(self) -> tuple[int, ...]:
        """The complete versions, oldest first; raises StoreError when the store cannot say."""
        found = self._list()
        return tuple(sorted(number for number in _numbered(found) if _is_whole(found, number)))

    def manifest(self, number: int) -> Manifest:
        """What a version is made of; raises StoreError without a sound manifest."""
        data = b"".join(self._chunks(f"{number}/{MANIFEST_FILE}"))
        try:
            manifest = Manifest.from_json(data, f"{self._uri}/{number}/{MANIFEST_FILE}")
        except DataError as error:
            raise StoreError(str(error)) from error
        if manifest.model_version != number:
            raise StoreError(f"{self._uri}/{number} is a copy of {manifest.model_version}")
        return manifest

    def digest(self, number: int) -> str:
        """`serving.digest.model_digest` of a version, from its manifest."""
        return self.manifest(number).model_sha256

    def fetch(self, number: int, target: Path) -> None:
        """Downloads a version into a new folder, the model's file last, and checks every digest.

        Raises:
            StoreError: a file is missing or is not the one that was pushed.
        """
        manifest = self.manifest(number)
        target.mkdir(parents=True)
        for name in sorted(manifest.files, key=_writing_order):
            write_durably(target / name, self._chunks(f"{number}/{name}"))
            if StoredFile.of(target / name) != manifest.files[name]:
                raise StoreError(
                    f"{self._uri}/{number}/{name} is not the file that was pushed: size or digest "
                    "differ from the manifest. Delete that version, or push the model again"
                )
        for folder in {path.parent for path in target.rglob("*")}:
            sync_folder(folder)

    def push(
        self,
        src_dir: Path,
        *,
        expected_baseline: int | None,
        provenance: Mapping[str, bytes | Path],
        keep: int,
        served: int | None = None,
        not_served: Collection[int] = (),
    ) -> int:
        """`serving.versions.push_version` into the store.

        Two pushes that end within the same second may both succeed: a store has no lock.

        Raises:
            PushError: `src_dir` is no SavedModel, or the store cannot be reached.
            StaleBaselineError: another version became the newest or the served one meanwhile.
        """
        contents: dict[str, bytes | Path] = {**checked_model(src_dir)}
        checked = checked_provenance(provenance)
        contents |= {f"{PROVENANCE_DIR}/{path}": content for path, content in checked.items()}

        def check_baseline() -> None:
            numbers = self.numbers()
            refuse_stale_baseline(numbers, self._uri, expected_baseline, served, not_served)

        check_baseline()
        with self._claimed() as (number, room):
            digests = {name: StoredFile.of(content) for name, content in contents.items()}
            contents[MANIFEST_FILE] = Manifest(number, digests).to_json()
            for name, content in contents.items():
                self._upload(content, f"{room}/{name}")
            check_baseline()
            self._publish(room, number, sorted(contents, key=_writing_order))
            self._retire(keep, {number, served, expected_baseline})
        return number

    def _chunks(self, name: str) -> Iterator[bytes]:
        """The bytes of an object; only what the store does is the store's error."""
        path = f"{self._root}/{name}"
        with self._reached() as files, files.open_input_stream(path, compression=None) as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                yield chunk

    def _publish(self, room: str, number: int, names: list[str]) -> None:
        with self._reached() as files:
            for name in names:
                files.copy_file(f"{room}/{name}", f"{self._root}/{number}/{name}")

    def _upload(self, content: bytes | Path, path: str) -> None:
        with self._reached() as files, files.open_output_stream(path, compression=None) as stream:
            if isinstance(content, bytes):
                stream.write(content)
                return
            with content.open("rb") as source:
                while chunk := source.read(_CHUNK_BYTES):
                    stream.write(chunk)

    @contextmanager
    def _claimed(self) -> Iterator[tuple[int, str]]:
        """A number that no other push has, and a folder of this push's own, gone afterwards."""
        found = self._list()
        number = max([*_numbered(found), *_claims(found)], default=0) + 1
        room = f"{self._root}/{_PUSHES}/{number}-{uuid.uuid4().hex}"
        try:
            self._upload(b"", f"{room}/{_CLAIM}")
            found = self._list()
            if _claims(found).count(number) > 1:
                raise PushError(
                    f"Another push to {self._uri} began in the same moment; run this one again."
                )
            self._remove_leftovers(found)
            yield number, room
        finally:
            with suppress(StoreError):  # a later push removes it too
                self._delete(room)

    def _remove_leftovers(self, found: Mapping[str, datetime]) -> None:
        """What a push that was killed has left: its own folder, and a version without an end."""
        past = datetime.now(UTC) - _LEFTOVER_AGE
        folders = {f"{_PUSHES}/{name.split('/')[1]}" for name in found if _is_pushed(name)}
        folders |= {str(n) for n in _numbered(found) if not _is_whole(found, n)}
        for folder in folders:
            if all(at < past for name, at in found.items() if name.startswith(f"{folder}/")):
                self._delete(f"{self._root}/{folder}")

    def _retire(self, keep: int, protected: Collection[int | None]) -> None:
        """Old versions stop being complete first, so that nobody fetches half of one."""
        for number in to_retire(self.numbers(), keep, protected):
            with self._reached() as files:
                files.delete_file(f"{self._root}/{number}/{MODEL_FILE}")
            self._delete(f"{self._root}/{number}")

    def _delete(self, path: str) -> None:
        # Cloud Storage has no object for the folder itself, which is the last one to be deleted.
        with self._reached() as files, suppress(FileNotFoundError):
            files.delete_dir(path)

    def _list(self) -> dict[str, datetime]:
        """Every object below the base, by its relative name, with the time of its last change."""
        from pyarrow.fs import FileSelector

        with self._reached() as files:
            selector = FileSelector(self._root, recursive=True, allow_not_found=True)
            return {
                info.path.removeprefix(f"{self._root}/"): info.mtime or datetime.now(UTC)
                for info in files.get_file_info(selector)
                if info.is_file
            }

    @contextmanager
    def _reached(self) -> Iterator[Any]:
        """The file system; its errors name the store and what to look at."""
        from pyarrow import fs

        try:
            if self._files is None:
                self._files, _ = fs.FileSystem.from_uri(self._uri)
            yield self._files
        except SkymillError:
            raise
        except OSError as error:
            raise StoreError(
                f"{self._uri}: {error}. Look at the address, the credentials and what they may do"
            ) from error


def _numbered(names: Collection[str]) -> set[int]:
    """Versions of which there is anything at all."""
    heads = {name.split("/")[0] for name in names if "/" in name}
    return {int(head) for head in heads if head.isascii() and head.isdigit()}


def _claims(names: Collection[str]) -> list[int]:
    parts = [name.split("/") for name in names if _is_pushed(name)]
    return [int(folder.split("-")[0]) for _, folder, *rest in parts if rest == [_CLAIM]]


def _is_pushed(name: str) -> bool:
    return name.startswith(f"{_PUSHES}/") and name.count("/") > 1


def _is_whole(names: Collection[str], number: int) -> bool:
    return f"{number}/{MODEL_FILE}" in names and f"{number}/{MANIFEST_FILE}" in names


def _writing_order(name: str) -> tuple[int, str]:
    """The manifest, and after it the file that makes the version one, come last."""
    return ({MANIFEST_FILE: 1, MODEL_FILE: 2}.get(name, 0), name)
