"""Versions in an object store, which cannot rename a folder.

`serving.store.layout` defines the object names, `serving.store.push` publishes a version.
"""

from collections.abc import Collection, Mapping
from pathlib import Path

from components.raster.stores.object_store import ObjectMissing, ObjectStore, StorageError
from serving.store.layout import complete_versions, writing_order
from serving.store.manifest import Manifest, StoredFile, read_manifest
from serving.store.push import is_complete, push_to_store
from serving.store.versions import PROVENANCE_DIR, sync_folder, write_durably


class BucketVersions:
    """Versions of one model in a store that holds only them."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def numbers(self) -> tuple[int, ...]:
        """Returns the complete versions, oldest first; raises StorageError if the store fails."""
        return complete_versions(self._store.listing())

    def holds(self, number: int) -> bool:
        """Checks a version's own objects, because a listing may be incomplete."""
        return is_complete(self._store, number)

    def manifest(self, number: int) -> Manifest:
        """Reads a version's manifest; raises StorageError if missing or invalid."""
        manifest = read_manifest(self._store, str(number))
        if manifest.model_version != number:
            raise StorageError(f"{self._store.uri}/{number} is a copy of {manifest.model_version}")
        return manifest

    def digest(self, number: int) -> str:
        """Returns a version's `serving.store.digest.model_digest`, from its manifest."""
        return self.manifest(number).model_sha256

    def fetch(self, number: int, target: Path) -> None:
        """Downloads a version into a new folder, the model's file last, and checks every digest.

        Raises:
            StorageError: a file is missing or differs from the pushed one.
        """
        manifest, uri = self.manifest(number), self._store.uri
        target.mkdir(parents=True)
        for name in sorted(manifest.files, key=writing_order):
            write_durably(target / name, self._store.chunks(f"{number}/{name}"))
            if StoredFile.of(target / name) != manifest.files[name]:
                raise StorageError(
                    f"{uri}/{number}/{name} is not the file that was pushed: size or digest differ "
                    "from the manifest. Delete that version, or push the model again"
                )
        for folder in {path.parent for path in target.rglob("*")}:
            sync_folder(folder)

    def provenance(self, number: int, name: str) -> bytes | None:
        """Reads a file of a version's `provenance/`; None if there is none."""
        try:
            return self._store.read(f"{number}/{PROVENANCE_DIR}/{name}")
        except ObjectMissing:
            return None

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
            self._store,
            src_dir,
            expected_baseline=expected_baseline,
            provenance=provenance,
            keep=keep,
            served=served,
            not_served=not_served,
        )
