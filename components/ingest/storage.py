"""Writing files through Beam's FileSystems: whole or not at all, on disks and in stores."""

from collections.abc import Sequence
from typing import IO, Any

from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

# Beam's FileSystems carries few types.
_FILES: Any = FileSystems


def join(*parts: str) -> str:
    """A path or uri below another."""
    path: str = _FILES.join(*parts)
    return path


def make_folder(path: str) -> None:
    """Makes a folder and those above it, unless it is there."""
    if not _FILES.exists(path):
        _FILES.mkdirs(path)


def create(path: str) -> IO[bytes]:
    """A new file to write bytes into, never compressed by its name."""
    file: IO[bytes] = _FILES.create(path, compression_type=CompressionTypes.UNCOMPRESSED)
    return file


def read(path: str) -> bytes:
    """All bytes of a file."""
    with _FILES.open(path, compression_type=CompressionTypes.UNCOMPRESSED) as file:
        data: bytes = file.read()
    return data


def read_range(path: str, offset: int, length: int) -> bytes:
    """`length` bytes of a file from `offset` on."""
    with _FILES.open(path, compression_type=CompressionTypes.UNCOMPRESSED) as file:
        file.seek(offset)
        data: bytes = file.read(length)
    return data


def write(path: str, data: bytes) -> None:
    """Writes a file."""
    with create(path) as file:
        file.write(data)


def publish(source: str, target: str) -> None:
    """Renames a finished file to the name under which readers look for it.

    A retried step finds its work already done, and leaves it.
    """
    if _FILES.exists(source):
        _FILES.rename([source], [target])
    elif not _FILES.exists(target):
        raise FileNotFoundError(f"neither {source} nor {target}")


def remove_folder(path: str) -> None:
    """Deletes a folder with all that it holds."""
    if _FILES.exists(path):
        _FILES.delete([path])


def matching(pattern: str) -> Sequence[str]:
    """The files that match a pattern, sorted."""
    return sorted(metadata.path for metadata in _FILES.match([pattern])[0].metadata_list)
