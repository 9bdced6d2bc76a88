"""Versions in an object store (`s3://`, `gs://`), which cannot rename a folder.

`serving.store.layout` defines the object names, `serving.store.push` publishes a version.
"""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from serving.store.files import StoreError, StoreFiles, read_manifest
from serving.store.layout import proofs, whole, writing_order
from serving.store.manifest import Manifest, StoredFile
from serving.store.push import push_to_store
from serving.store.versions import sync_folder, write_durably

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

SCHEMES = ("s3://", "gs://")


class BucketVersions:
    """Versions of one model below a URI.

    The store's own libraries find credentials and endpoints: `AWS_ACCESS_KEY_ID`,
    `AWS_ENDPOINT_URL` (MinIO) and similar, or Google's application default credentials.
    """

    def __init__(self, model_base: str, files: "FileSystem | None" = None) -> None:
        """Args: `files` is the file system of the URI's path; by default the URI's own."""
        self._files = StoreFiles(model_base, files)

    def numbers(self) -> tuple[int, ...]:
        """Returns the complete versions, oldest first; raises StoreError when the store fails."""
        return whole(self._files.listing())

    def holds(self, number: int) -> bool:
        """Checks a version's own objects, because a listing may be incomplete."""
        return self._files.are_there(proofs(number))

    def manifest(self, number: int) -> Manifest:
        """Reads a version's manifest; raises StoreError if missing or invalid."""
        manifest = read_manifest(self._files, str(number))
        if manifest.model_version != number:
            raise StoreError(f"{self._files.uri}/{number} is a copy of {manifest.model_version}")
        return manifest

    def digest(self, number: int) -> str:
        """Returns a version's `serving.store.digest.model_digest`, from its manifest."""
        return self.manifest(number).model_sha256

    def fetch(self, number: int, target: Path) -> None:
        """Downloads a version into a new folder, the model's file last, and checks every digest.

        Raises:
            StoreError: a file is missing or differs from the pushed one.
        """
        manifest, uri = self.manifest(number), self._files.uri
        target.mkdir(parents=True)
        for name in sorted(manifest.files, key=writing_order):
            write_durably(target / name, self._files.chunks(f"{number}/{name}"))
            if StoredFile.of(target / name) != manifest.files[name]:
                raise StoreError(
                    f"{uri}/{number}/{name} is not the file that was pushed: size or digest differ "
                    "from the manifest. Delete that version, or push the model again"
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
        """See `serving.store.push.push_to_store`."""
        return push_to_store(
            self._files,
            src_dir,
            expected_baseline=expected_baseline,
            provenance=provenance,
            keep=keep,
            served=served,
            not_served=not_served,
        )
