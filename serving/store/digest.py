"""Digest of the content of a model's folder."""

import hashlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from serving.store.model_files import model_files
from serving.store.versions import PROVENANCE_DIR


def model_digest(model_dir: Path) -> str:
    """Returns the SHA-256, in hex, of all served files in a SavedModel's folder.

    Two folders have the same digest if and only if they hold the same files by relative name and
    content. Files in `provenance/` are left out, because no server reads them.

    Raises:
        ModelFolderError: as in `serving.store.model_files.model_entries`.
    """
    return digest_of_files(
        {
            name: file_sha256(path)
            for name, path in model_files(model_dir).items()
            if PurePosixPath(name).parts[0] != PROVENANCE_DIR
        }
    )


def file_sha256(path: Path) -> str:
    """Returns the SHA-256, in hex, of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_of_files(sha256: Mapping[str, str]) -> str:
    """Computes `model_digest` from the SHA-256, in hex, of each file by its relative name."""
    digest = hashlib.sha256()
    for name in sorted(map(PurePosixPath, sha256)):
        if name.parts[0] != PROVENANCE_DIR:
            digest.update(f"{sha256[name.as_posix()]}  {name}\n".encode())
    return digest.hexdigest()
