"""Readers of box files in pixels: COCO, DeepForest tables, Pascal VOC.

Edges are continuous: pixel 0 extends from 0 to 1, as in COCO (https://cocodataset.org/#format-data)
and in DeepForest's files, including its VOC files.
"""

import io
import math
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar
from xml.etree import ElementTree

from components.raster.documents import read_json, table_rows
from components.raster.errors import ConfigError, DataError
from components.raster.library_errors import LibraryError, translated
from components.raster.text import composed, decoded
from components.raster.walk import HIDDEN, left_out_as, walk

_COLUMNS = ("image_path", "xmin", "ymin", "xmax", "ymax")
_NO_NUMBERS = (math.nan,) * 4
Entry = TypeVar("Entry")
_EMPTY_CELLS = {"", "nan", "na", "null", "none"}


@dataclass(frozen=True)
class LabelledImage:
    """An image that a file of boxes names.

    Attributes:
        name: its path as in the file, with folders if it has any; unique.
        size_px: height and width, if the file states them.
    """

    name: str
    size_px: tuple[int, int] | None = None


@dataclass(frozen=True)
class ListedBox:
    """A box as read from a file, not validated yet.

    Attributes:
        number: its id in a COCO file, its line in a table, or its index among all boxes of VOC
        files.
        image: name of its image; empty if the file does not list it.
        class_name: empty if the file states none.
        edges_px: left, top, right, bottom; NaN if they are not numbers.
        crowd: it represents many objects.
    """

    number: int
    image: str
    class_name: str
    edges_px: tuple[float, ...]
    crowd: bool = False


@dataclass(frozen=True)
class BadEntry:
    """An unusable entry of a COCO file, or a whole unusable VOC file.

    Attributes:
        file: that holds it.
        number: its index among bad entries, counted down from -1, since it may have no id.
        why: the fault.
    """

    file: str
    number: int
    why: str


@dataclass(frozen=True)
class BoxListing:
    """Boxes and images of a file, and its unusable entries."""

    images: tuple[LabelledImage, ...]
    boxes: tuple[ListedBox, ...]
    bad: tuple[BadEntry, ...] = ()


def box_files(path: str) -> dict[str, str]:
    """Finds the files with boxes: the given one, or the Pascal VOC files below a folder.

    Returns:
        The location of each, by its path below the folder.

    Raises:
        ConfigError: the suffix is that of no format of boxes.
        DataError: nothing is there.
    """
    where = Path(path)
    if where.is_dir():
        return _voc_folder(path)[0]
    if where.suffix.lower() not in (".json", ".csv", ".xml"):
        raise ConfigError(
            f"Labels {path!r} are not COCO (.json), DeepForest (.csv), Pascal VOC (.xml)."
        )
    if not where.is_file():
        raise DataError(f"Labels {path} do not exist.")
    return {where.name: path}


def count_other_files(path: str) -> Mapping[str, int]:
    """Counts the other files of a folder of boxes, by suffix; empty if it is not a folder."""
    return _voc_folder(path)[1] if os.path.isdir(path) else {}


def listed_boxes(path: str, encoding: str | None = None) -> BoxListing:
    """Lists all boxes and images that a file, or a folder of VOC files, names.

    Args:
        path: of the file or folder.
        encoding: of a .json or .csv; XML states its own.

    Raises:
        ConfigError: the suffix is that of no format of boxes.
        DataError: it does not have the format of its suffix, or names something twice.
    """
    files = box_files(path)

    def error(why: str) -> DataError:
        return DataError(f"Labels {path} cannot be read: {why}")

    with translated(error, document=True):
        match Path(next(iter(files))).suffix.lower():
            case ".json":
                return _coco(read_json(path, encoding), path)
            case ".csv":
                text = decoded(Path(path).read_bytes(), encoding)
                return _table(io.StringIO(text, newline=""))
            case _:
                return _voc(files)


def _voc_folder(folder: str) -> tuple[dict[str, str], Counter[str]]:
    """Returns the VOC files below a folder by their relative paths, and the number of others."""
    found: dict[str, str] = {}
    others: Counter[str] = Counter()
    for entry in walk(folder):
        name = left_out_as(entry.key, (".xml",))
        if entry.error and name != HIDDEN:
            raise DataError(f"Labels {entry.path} cannot be read: {entry.error}")
        if name and not entry.is_folder:
            others[name] += 1
        elif not entry.is_folder:
            found[entry.key] = entry.path
    if not found:
        raise DataError(f"Labels {folder}: the folder holds no Pascal VOC file (.xml).")
    return dict(sorted(found.items())), others


def _coco(tree: Any, path: str) -> BoxListing:
    kinds = ("images", "annotations", "categories")
    lacking = [
        key for key in kinds if not (isinstance(tree, dict) and isinstance(tree.get(key), list))
    ]
    if lacking:
        raise ValueError(f"it is not a COCO file: it has no list of {', '.join(lacking)}")
    bad: list[str] = []
    classes = _by_id(tree, "categories", "name", lambda it: composed(str(it["name"])), bad)
    images = _by_id(tree, "images", "file_name", _coco_image, bad)

    def box(entry: Any) -> ListedBox:
        named = images.get(entry["image_id"])
        return ListedBox(
            number=_number_of(entry["id"]),
            image="" if named is None else named.name,
            class_name=classes.get(entry["category_id"], ""),
            edges_px=_edges_of_corner(entry.get("bbox")),
            crowd=bool(entry.get("iscrowd")),
        )

    boxes = _by_id(tree, "annotations", "image_id", box, bad)
    return BoxListing(
        _each_once((image, f"image {key}") for key, image in images.items()),
        tuple(boxes.values()),
        tuple(BadEntry(path, -number, why) for number, why in enumerate(bad, 1)),
    )


def _number_of(key: Any) -> int:
    """Converts an id to a 64-bit integer, as in BoxSet; raises ValueError if it is not one."""
    number = int(key)
    if not -(2**63) <= number < 2**63:
        raise ValueError("its id is beyond 64 bits")
    return number


def _coco_image(entry: Any) -> LabelledImage:
    return LabelledImage(_path(entry["file_name"]), _size(entry))


def _by_id(
    tree: Any, kind: str, names: str, make: Callable[[Any], Entry], bad: list[str]
) -> dict[Any, Entry]:
    """Parses the entries of a COCO list, by id; adds unusable ones to `bad`.

    Raises ValueError if two have one id, which would be ambiguous (the error shows their values of
    `names`), or if all are bad.
    """
    found: dict[Any, tuple[Any, Entry]] = {}
    before = len(bad)
    for number, entry in enumerate(tree[kind], start=1):
        try:
            with translated(document=True):
                other, _ = found.setdefault(entry["id"], (entry, make(entry)))
        except LibraryError as error:
            bad.append(f"entry {number} of its {kind}: {error}")
            continue
        if other is not entry:
            raise ValueError(
                f"two of its {kind} have the id {entry['id']} ({names} {other[names]!r} and "
                f"{entry[names]!r}); give each its own"
            )
    if tree[kind] and not found:
        raise ValueError(f"it is not a COCO file: {bad[before]}")
    return {key: made for key, (_, made) in found.items()}


def _table(file: Iterable[str]) -> BoxListing:
    rows = table_rows(file)
    missing = [name for name in _COLUMNS if name not in (rows.fieldnames or ())]
    if missing:
        raise ValueError(f"it has no column {', '.join(missing)}; its first line must name them")
    images: dict[str, LabelledImage] = {}
    boxes: list[ListedBox] = []
    for row in rows:
        cells = [(row[column] or "").strip() for column in _COLUMNS]
        name = _path(cells[0]) if cells[0] else ""
        if name:
            images[name] = LabelledImage(name)
        if not name or not _shows_nothing(cells[1:]):
            label = composed((row.get("label") or "").strip())
            boxes.append(ListedBox(rows.line_num, name, label, _numbers(cells[1:])))
    return BoxListing(tuple(images.values()), tuple(boxes))


def _shows_nothing(edges: Sequence[str]) -> bool:
    """Checks whether a row marks an image without objects: by zeros, as DeepForest does, or by
    empty cells, as other tools do."""
    return _numbers(edges) == (0.0,) * 4 or all(edge.lower() in _EMPTY_CELLS for edge in edges)


def _voc(files: Mapping[str, str]) -> BoxListing:
    images: list[tuple[LabelledImage, str]] = []
    boxes: list[ListedBox] = []
    bad: list[BadEntry] = []
    for key, path in files.items():
        try:
            with translated(document=True):
                if not os.path.isfile(path):  # opening a named pipe would block
                    raise ValueError("it is missing or no file")
                image, found = _voc_image(key, ElementTree.parse(path).getroot())
        except LibraryError as error:
            bad.append(BadEntry(path, -len(bad) - 1, f"{path} is not a Pascal VOC file: {error}"))
            continue
        images.append((image, key))
        boxes += [replace(box, number=len(boxes) + place) for place, box in enumerate(found, 1)]
    if not images:
        raise ValueError(bad[0].why)
    return BoxListing(_each_once(images), tuple(boxes), tuple(bad))


def _voc_image(key: str, root: ElementTree.Element) -> tuple[LabelledImage, list[ListedBox]]:
    """Returns the image of a VOC file and its boxes, not numbered yet."""
    name = (root.findtext("filename") or "").strip()
    if root.tag != "annotation" or not name:
        raise ValueError("it is not an annotation with a filename")
    name = _path(name)
    if "/" not in name:  # the image is in the folder of images that the labels' folder mirrors
        name = (PurePosixPath(key).parent / name).as_posix()
    size = {edge: root.findtext(f"size/{edge}") for edge in ("height", "width")}
    boxes = []
    for found in root.iter("object"):
        edges = _numbers(found.findtext(f"bndbox/{column}") for column in _COLUMNS[1:])
        label = composed((found.findtext("name") or "").strip())
        boxes.append(ListedBox(0, name, label, edges))
    return LabelledImage(name, _size(size)), boxes


def _each_once(images: Iterable[tuple[LabelledImage, str]]) -> tuple[LabelledImage, ...]:
    """Returns the images with their sources; raises ValueError if two have one name."""
    found: dict[str, tuple[LabelledImage, str]] = {}
    for image, place in images:
        other = found.setdefault(image.name, (image, place))
        if other[1] != place:
            raise ValueError(
                f"{other[1]} and {place} are both of {image.name}: give each the path of its "
                "image, folders included"
            )
    return tuple(image for image, _ in found.values())


def _path(name: object) -> str:
    """Returns an image's path in POSIX form."""
    return PurePosixPath(str(name).replace("\\", "/")).as_posix()


def _size(entry: Mapping[str, Any]) -> tuple[int, int] | None:
    """Returns height and width; None if the entry does not state them, or states 0."""
    height, width = (int(entry.get(key) or 0) for key in ("height", "width"))
    return (height, width) if height and width else None


def _edges_of_corner(box: Any) -> tuple[float, ...]:
    """Converts left, top, width, height to left, top, right, bottom."""
    if not isinstance(box, list) or len(box) != 4:
        return _NO_NUMBERS
    left, top, width, height = _numbers(box)
    return left, top, left + width, top + height


def _numbers(texts: Iterable[Any]) -> tuple[float, ...]:
    def read() -> Iterator[float]:
        for text in texts:
            yield float(text)

    try:
        return tuple(read())
    except (TypeError, ValueError, OverflowError):
        return _NO_NUMBERS
