"""Where the launcher mounts what lies in a store, and how a path there is told to the store."""

import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

_FOLDERS = {"minio://": "minio", "s3://": "s3", "gs://": "gcs"}


def local_path(uri: str, mount_root: str = "/") -> str:
    """The path of an artifact's bytes: `minio://a/b` is `/minio/a/b`; a path stays what it is."""
    for scheme, folder in _FOLDERS.items():
        if uri.startswith(scheme):
            return posixpath.join(mount_root, folder, uri.removeprefix(scheme))
    return uri.removeprefix("file://")


@dataclass(frozen=True)
class Places:
    """The artifacts of one step, each by its URI and by its path.

    Only these are mounted, so only places at or below them are translated: another URI in a
    property is somebody's data in the store and stays one.
    """

    paths: Mapping[str, str]

    @classmethod
    def of(cls, uris: Iterable[str], mount_root: str) -> "Places":
        """The places of a step's inputs and outputs."""
        return cls({uri: local_path(uri, mount_root) for uri in uris if uri})

    def to_path(self, value: Any) -> Any:
        """A URI at or below an artifact as a path; lists and mappings in depth; others as is."""
        return _translated(value, self.paths)

    def to_uri(self, value: Any) -> Any:
        """The inverse of `to_path`."""
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
