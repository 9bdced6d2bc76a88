"""The content of a model's folder as one value."""

import hashlib
from pathlib import Path

from serving.versions import PROVENANCE_DIR


def model_digest(model_dir: Path) -> str:
    """The SHA-256, in hex, of all that is served from a SavedModel's folder.

    Two folders have the same digest if and only if they hold the same files by relative name and
    content; what lies in `provenance/` does not count, because no server reads it.
    """
    digest = hashlib.sha256()
    for path in sorted(model_dir.rglob("*")):
        name = path.relative_to(model_dir)
        if path.is_file() and name.parts[0] != PROVENANCE_DIR:
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            digest.update(f"{content}  {name.as_posix()}\n".encode())
    return digest.hexdigest()
