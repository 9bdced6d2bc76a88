"""Atomic writing of files, on local disks directly and in stores through Beam.

Beam is imported only for a remote URI, so worker processes for local files start at once.
"""

import os
import shutil
from collections.abc import Collection, Sequence
from typing import IO, Any

from components.ingest.files.remote import beam_files
from components.raster.location import is_remote, local_path


def join(*parts: str) -> str:
    """Joins a path or URI with parts below it."""
    return (
        "/".join((parts[0].rstrip("/"), *parts[1:]))
        if is_remote(parts[0])
        else os.path.join(local_path(parts[0]), *parts[1:])
    )


def make_folder(path: str) -> None:
    """Makes a folder and those above it; stores have no folders and need none."""
    if not is_remote(path):
        os.makedirs(local_path(path), exist_ok=True)


def create(path: str) -> IO[bytes]:
    """Opens a new file for bytes, not compressed whatever its suffix."""
    if not is_remote(path):
        return open(local_path(path), "wb", buffering=1 << 20)
    file: IO[bytes] = beam_files().create(path, compression_type="uncompressed")
    return file


def open_file(path: str) -> IO[bytes]:
    """Opens a file to read its bytes, without decompression."""
    if not is_remote(path):
        return open(local_path(path), "rb")
    file: IO[bytes] = beam_files().open(path, compression_type="uncompressed")
    return file


def read(path: str) -> bytes:
    """Reads all bytes of a file."""
    with open_file(path) as file:
        return file.read()


def read_range(path: str, offset: int, length: int) -> bytes:
    """Reads `length` bytes of a file from `offset` on."""
    with open_file(path) as file:
        file.seek(offset)
        return file.read(length)


def write(path: str, data: bytes) -> None:
    """Writes a file."""
    with create(path) as file:
        file.write(data)


def publish(source: str, target: str) -> None:
    """Renames a finished file to the name under which readers look for it.

    A retried step finds its work already done, and leaves it.
    """
    if not exists(source):
        if not exists(target):
            raise FileNotFoundError(f"neither {source} nor {target}")
    elif is_remote(target):
        beam_files().rename([source], [target])
    else:
        os.replace(local_path(source), local_path(target))


def remove_folder(path: str) -> None:
    """Deletes a folder and its content; in a store, every object below it."""
    if not is_remote(path):
        shutil.rmtree(local_path(path))
        return
    found = [metadata.path for metadata in _listed(path + "/**")]
    if found:
        beam_files().delete(found)


def remove_files(folder: str, prefixes: tuple[str, ...], keep: Collection[str]) -> None:
    """Deletes files directly in a store's folder that have a prefix, except those to keep."""
    names = {it.path: it.path.rpartition("/")[2] for it in _listed(f"{folder.rstrip('/')}/*")}
    gone = [it for it, name in names.items() if name.startswith(prefixes) and name not in keep]
    if gone:
        beam_files().delete(gone)


def _listed(pattern: str) -> Sequence[Any]:
    """Lists the objects of a store by Beam's pattern."""
    found: Sequence[Any] = beam_files().match([pattern])[0].metadata_list
    return found


def exists(path: str) -> bool:
    """Checks for a file, or a local folder."""
    return bool(beam_files().exists(path)) if is_remote(path) else os.path.exists(local_path(path))
