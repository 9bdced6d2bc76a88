"""Manifest of a version in an object store: all files with their sizes and digests."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from components.raster.errors import DataError
from components.raster.stores.object_store import ObjectStore, StorageError
from serving.store.digest import digest_of_files, file_sha256

MANIFEST_FILE = "manifest.json"


@dataclass(frozen=True)
class StoredFile:
    """Size and SHA-256, in hex, of one file's content."""

    size_bytes: int
    sha256: str

    @classmethod
    def of(cls, content: bytes | Path) -> "StoredFile":
        """Computes size and digest of bytes or of a local file."""
        if isinstance(content, bytes):
            return cls(len(content), hashlib.sha256(content).hexdigest())
        return cls(content.stat().st_size, file_sha256(content))


@dataclass(frozen=True)
class Manifest:
    """Files of one version by relative name; `manifest.json` itself is not among them."""

    model_version: int
    files: Mapping[str, StoredFile]

    @property
    def model_sha256(self) -> str:
        """The `serving.store.digest.model_digest` of the version's folder."""
        return digest_of_files({name: file.sha256 for name, file in self.files.items()})

    def to_json(self) -> bytes:
        """Returns the content of `manifest.json`."""
        files = {name: vars(file) for name, file in sorted(self.files.items())}
        document = {
            "model_version": self.model_version,
            "model_sha256": self.model_sha256,
            "files": files,
        }
        return (json.dumps(document, indent=1) + "\n").encode()

    @classmethod
    def from_json(cls, data: bytes, where: str) -> "Manifest":
        """Parses a manifest; raises DataError for other content, or a file outside the version."""
        try:
            tree = json.loads(data)
            files = {
                name: StoredFile(int(file["size_bytes"]), str(file["sha256"]))
                for name, file in tree["files"].items()
            }
            manifest = cls(int(tree["model_version"]), files)
            sound = manifest.model_sha256 == tree["model_sha256"] and all(map(_is_inside, files))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{where} is not a manifest of a version ({error!r})") from error
        if not sound:
            raise DataError(f"{where} contradicts itself; push the model again")
        return manifest


def read_manifest(store: ObjectStore, folder: str) -> Manifest:
    """Reads the manifest in a folder of a store; raises StorageError if missing or invalid."""
    name = f"{folder}/{MANIFEST_FILE}"
    try:
        return Manifest.from_json(store.read(name), f"{store.uri}/{name}")
    except DataError as error:
        raise StorageError(str(error)) from error


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and path.as_posix() == name
