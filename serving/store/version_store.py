"""Versions of a model in a local folder or an object store."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Protocol

from components.raster.location import is_remote, local_path
from components.raster.stores.opening import SCHEMES, is_object_store, open_store
from serving.store.bucket_versions import BucketVersions
from serving.store.digest import model_digest
from serving.store.versions import (
    PROVENANCE_DIR,
    PushError,
    copy_model,
    is_complete,
    list_versions,
    push_version,
)


class VersionStore(Protocol):
    """Interface for reading the served version and pushing the next one."""

    def numbers(self) -> tuple[int, ...]:
        """Returns the complete versions, oldest first."""

    def holds(self, number: int) -> bool:
        """Checks that one version is complete, without a listing."""

    def digest(self, number: int) -> str:
        """Returns a version's `serving.store.digest.model_digest`."""

    def fetch(self, number: int, target: Path) -> None:
        """Copies a version into a new folder."""

    def provenance(self, number: int, name: str) -> bytes | None:
        """Reads a file of a version's `provenance/`; None if there is none."""

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
        """See `serving.store.versions.push_version`."""


class FolderVersions:
    """Versions in a local folder."""

    def __init__(self, model_base: Path) -> None:
        self._base = model_base

    def numbers(self) -> tuple[int, ...]:
        return tuple(version.number for version in list_versions(self._base))

    def holds(self, number: int) -> bool:
        return is_complete(self._path(number))

    def digest(self, number: int) -> str:
        return model_digest(self._path(number))

    def fetch(self, number: int, target: Path) -> None:
        copy_model(self._path(number), target)

    def provenance(self, number: int, name: str) -> bytes | None:
        path = self._path(number) / PROVENANCE_DIR / name
        return path.read_bytes() if path.is_file() else None

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
        return push_version(
            src_dir,
            self._base,
            expected_baseline=expected_baseline,
            provenance=provenance,
            keep=keep,
            served=served,
            not_served=not_served,
        )

    def _path(self, number: int) -> Path:
        paths = {version.number: version.path for version in list_versions(self._base)}
        return paths.get(number, self._base / str(number))


def version_store(model_base: str) -> VersionStore:
    """Returns the versions below a path, or in an object store.

    Raises PushError for another kind of URI.
    """
    if not is_remote(model_base):
        return FolderVersions(Path(local_path(model_base)))
    if not is_object_store(model_base):
        raise PushError(f"{model_base}: name a folder of models, or one at {' or '.join(SCHEMES)}")
    return BucketVersions(open_store(model_base))
