"""Class folders: `<root>/<class>/**` as records."""

import os
from collections.abc import Iterator

from components.ingest.files import is_remote, local_path, stores
from components.ingest.record import Contents, Record
from components.ingest.reject import Reason, Reject
from components.raster.errors import DataError

#: Suffixes under which images come. What a file is, its content says; a suffix only tells files
#: that mean to be images from those that lie beside them.
IMAGE_SUFFIXES = (
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".gif", ".bmp", ".dib", ".webp"}
    | {".avif", ".heic", ".heif", ".ico", ".tga", ".pcx", ".dds", ".raw", ".dng", ".img"}
    | {".tif", ".tiff", ".jp2", ".j2k", ".jpx", ".jxl", ".ppm", ".pgm", ".pbm", ".pnm"}
)
_TAKEN = IMAGE_SUFFIXES | {""}


def list_folders(root: str) -> Contents:
    """Every image below the class folders of `root`.

    Hidden files and folders, and files whose suffix is of no image, are ignored and counted; a
    file without any suffix is taken, since its content decides. An image beside the class folders
    has no class and is a reject; a file like `_SUCCESS` there says that an upload is complete.

    Raises:
        DataError: there is no such folder.
    """
    found = Contents()
    paths = _walk_remote(root) if is_remote(root) else _walk_local(local_path(root), found)
    for key, uri in paths:
        suffix = "(hidden)" if _is_hidden(key) else _suffix(key)
        suffix = "(marker)" if not suffix and _is_marker(key) else suffix
        label, slash, _ = key.partition("/")
        if suffix not in _TAKEN:
            found.ignored[suffix] += 1
        elif slash:
            found.records.append(Record(key, uri, _printable(label)))
        else:
            detail = f"lies beside the class folders of {root}; move it into one"
            found.rejects.append(Reject(key, uri, Reason.NO_LABEL, detail))
    return found


def list_files(root: str) -> Contents:
    """Every image below a folder, whatever the folders in it are called; of no class.

    Raises:
        DataError: there is no such folder.
    """
    found = Contents()
    paths = _walk_remote(root) if is_remote(root) else _walk_local(local_path(root), found)
    for key, uri in paths:
        suffix = "(hidden)" if _is_hidden(key) else _suffix(key)
        if suffix in _TAKEN:
            found.records.append(Record(key, uri))
        else:
            found.ignored[suffix] += 1
    return found


def _is_hidden(key: str) -> bool:
    return key.startswith(".") or "/." in key


def _is_marker(key: str) -> bool:
    return key.startswith("_") and "/" not in key


def _printable(name: str) -> str:
    """A class name that UTF-8 can write, whatever bytes the folder's name has."""
    if name.isascii():
        return name
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _suffix(key: str) -> str:
    before, _, after = key.rpartition(".")
    return "" if not before or "/" in after else f".{after.lower()}"


def _walk_local(root: str, found: Contents) -> Iterator[tuple[str, str]]:
    """(key, path) of every file below `root`; a folder that cannot be read becomes a reject."""
    if not os.path.isdir(root):
        raise DataError(f"no folder {root}: source.uri must name a folder of class folders")
    pending = [("", os.path.abspath(root))]
    seen = set()
    while pending:
        prefix, folder = pending.pop()
        try:
            status = os.stat(folder)
            if (status.st_dev, status.st_ino) in seen:  # a symbolic link back to a parent
                continue
            seen.add((status.st_dev, status.st_ino))
            entries = list(os.scandir(folder))
        except OSError as error:
            detail = f"{type(error).__name__}: {error}"
            found.rejects.append(Reject(prefix[:-1] or ".", folder, Reason.UNREADABLE, detail))
            continue
        for entry in entries:
            key = prefix + entry.name
            is_folder = _is_folder(entry)
            if is_folder and not entry.name.startswith("."):
                pending.append((key + "/", entry.path))
            # A folder named as an image goes through as one, so that its reject says what it is.
            if not is_folder or _suffix(entry.name) in IMAGE_SUFFIXES:
                yield key, entry.path


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a symbolic link to itself; reading it will say so
        return False


def _walk_remote(root: str) -> Iterator[tuple[str, str]]:
    prefix = root.rstrip("/") + "/"
    match = stores().match([prefix + "**"])[0]
    if not match.metadata_list:
        raise DataError(
            f"nothing lies below {root}: source.uri must name a folder of class folders"
        )
    for metadata in match.metadata_list:
        if not metadata.path.endswith("/"):  # stores mark folders with empty objects
            yield metadata.path.removeprefix(prefix), metadata.path
