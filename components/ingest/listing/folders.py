"""Class folders: `<root>/<class>/**` as records."""

import os
from collections.abc import Iterator
from functools import cache

from components.ingest.files.remote import remote_files
from components.ingest.records.record import Contents, Record
from components.ingest.records.reject import Reject
from components.raster.errors import DataError
from components.raster.location import is_remote, local_path
from components.raster.reasons import Reason
from components.raster.text import composed, readable
from components.raster.walk import HIDDEN, Entry, left_out_as, suffix_of, walk

#: Suffixes of images. The content determines the format; a suffix only separates intended images
#: from other files.
IMAGE_SUFFIXES = (
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".gif", ".bmp", ".dib", ".webp"}
    | {".avif", ".heic", ".heif", ".ico", ".tga", ".pcx", ".dds", ".raw", ".dng", ".img"}
    | {".tif", ".tiff", ".jp2", ".j2k", ".jpx", ".jxl", ".ppm", ".pgm", ".pbm", ".pnm"}
)
_TAKEN = IMAGE_SUFFIXES | {""}


def list_folders(root: str) -> Contents:
    """Lists every image below the class folders of `root`.

    Hidden files and folders, and files with the suffix of another format, are ignored and counted;
    a file without a suffix is listed, since its content decides. An image beside the class folders
    has no class and is a reject; a file like `_SUCCESS` there marks a complete upload.

    Raises:
        DataError: there is no such folder.
    """
    found = Contents()
    class_of = cache(_printable)  # by folder

    def in_classes() -> Iterator[Record]:
        for key, uri in _images(root, None, found):
            folder, slash, _ = key.partition("/")
            if slash:
                yield Record(key, uri, class_of(folder))
            else:
                detail = f"lies beside the class folders of {root}; move it into one"
                found.rejects.append(Reject(key, uri, Reason.NO_LABEL, detail))

    found.records.extend(in_classes())
    return found


def list_files(root: str, apart: str | None = None) -> Contents:
    """Lists every image below a folder without a class, whatever the names of its folders.

    Args:
        root: the folder.
        apart: a folder of other files, which is left out if it is below `root`.

    Raises:
        DataError: there is no such folder.
    """
    found = Contents()
    found.records.extend(Record(key, uri) for key, uri in _images(root, apart, found))
    return found


def is_within(place: str, folder: str) -> bool:
    """Checks whether a path or uri is the folder itself, or below it."""
    return _slashed(place).startswith(_slashed(folder))


def _slashed(place: str) -> str:
    path = place if is_remote(place) else os.path.abspath(local_path(place))
    return path.rstrip("/") + "/"


def _images(root: str, apart: str | None, found: Contents) -> Iterator[tuple[str, str]]:
    """Yields (key, uri) of intended images; records everything else in `found`."""
    if is_remote(root):
        entries = _walk_remote(root, apart)
    elif os.path.isdir(local_path(root)):
        entries = walk(local_path(root), None if apart is None else local_path(apart))
    else:
        raise DataError(f"no folder {root}: name the folder that holds the images")
    for key, path, is_folder, error in entries:
        name = left_out_as(key, _TAKEN)
        if error and name != HIDDEN:
            found.rejects.append(Reject(key, path, Reason.UNREADABLE, error))
        # A folder named like an image is yielded, so that its reject names the fault.
        elif is_folder and not (error or _named_as_image(name, key)):
            continue
        elif name:
            found.ignored[name] += 1
        else:
            yield key, path


def _named_as_image(left_out: str, key: str) -> bool:
    return not left_out and suffix_of(key) in IMAGE_SUFFIXES


def _printable(name: str) -> str:
    """Returns a class name that UTF-8 can encode, whatever bytes the folder's name has."""
    if name.isascii():
        return name
    return composed(readable(name))


def _walk_remote(root: str, apart: str | None) -> Iterator[Entry]:
    files, folder = remote_files(root.rstrip("/"))
    found = files.listing(folder)
    if not found:
        raise DataError(f"nothing lies below {root}: name the folder that holds the images")
    apart = None if apart is None or is_within(root, apart) else apart
    prefix = root.rstrip("/") + "/"
    for name in found:
        key = name.removeprefix(f"{folder}/")
        # Stores mark folders by empty objects.
        if not name.endswith("/") and not (apart and is_within(prefix + key, apart)):
            yield Entry(key, prefix + key)
