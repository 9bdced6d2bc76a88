"""Maps URIs of a store to the paths where the launcher mounts them, and back."""

import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

_FOLDERS = {"minio://": "minio", "s3://": "s3", "gs://": "gcs"}


def local_path(uri: str, mount_root: str = "/") -> str:
    """Returns an artifact's local path: `/minio/a/b` for `minio://a/b`; paths stay unchanged."""
    for scheme, folder in _FOLDERS.items():
        if uri.startswith(scheme):
            return posixpath.join(mount_root, folder, uri.removeprefix(scheme))
    return uri.removeprefix("file://")


@dataclass(frozen=True)
class ArtifactPaths:
    """URIs and local paths of a step's artifacts.

    Only these are mounted, so only places at or below them are translated: any other URI in a
    property refers to other data in the store and stays unchanged.
    """

    paths: Mapping[str, str]

    @classmethod
    def of(cls, uris: Iterable[str], mount_root: str) -> "ArtifactPaths":
        """Maps the URIs of a step's inputs and outputs."""
        return cls({uri: local_path(uri, mount_root) for uri in uris if uri})

    def to_path(self, value: Any) -> Any:
        """Converts URIs at or below an artifact to paths, also in nested lists and mappings."""
        return _translated(value, self.paths)

    def to_uri(self, value: Any) -> Any:
        """Reverses `to_path`."""
        return _translated(value, {path: uri for uri, path in self.paths.items()})


def _translated(value: Any, prefixes: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: _translated(item, prefixes) for name, item in value.items()}
    if isinstance(value, list):
        return [_translated(item, prefixes) for item in value]
    if isinstance(value, str):
        for prefix, other in prefixes.items():
            if value == prefix or value.startswith(prefix.rstrip("/") + "/"):
                return other + value[len(prefix) :]
    return value
