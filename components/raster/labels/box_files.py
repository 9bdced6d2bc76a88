"""The forms in which boxes in pixels come: COCO, a table of DeepForest's, Pascal VOC.

Edges are continuous: pixel 0 reaches from 0 to 1. So they are in COCO
(https://cocodataset.org/#format-data) and in what DeepForest writes, VOC files included.
"""

import csv
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from components.raster.errors import ConfigError, DataError

_COLUMNS = ("image_path", "xmin", "ymin", "xmax", "ymax")
_NO_NUMBERS = (math.nan,) * 4


@dataclass(frozen=True)
class LabelledImage:
    """An image that a file of boxes names.

    Attributes:
        name: as the file has it, with folders where it has them.
        size_px: height and width, where the file says.
    """

    name: str
    size_px: tuple[int, int] | None = None


@dataclass(frozen=True)
class ListedBox:
    """A box as a file has it, right or wrong.

    Attributes:
        number: its id in a COCO file, its line of a table, its place among all of VOC files.
        image: name of its image; empty where the file does not know it.
        class_name: empty where the file tells none.
        edges_px: left, top, right, bottom; NaN where they are no numbers.
        crowd: it stands for many objects.
    """

    number: int
    image: str
    class_name: str
    edges_px: tuple[float, ...]
    crowd: bool = False


@dataclass(frozen=True)
class BoxListing:
    """What a file of boxes says."""

    images: tuple[LabelledImage, ...]
    boxes: tuple[ListedBox, ...]


def box_files(path: str) -> list[str]:
    """The files that hold the boxes: one, or those of a folder.

    Raises:
        ConfigError: no form of boxes has such a name.
        DataError: there is nothing there.
    """
    where = Path(path)
    if where.is_dir():
        found = sorted(map(str, where.glob("*.xml")))
        if not found:
            raise DataError(f"Labels {path}: the folder holds no Pascal VOC file (.xml).")
        return found
    if where.suffix.lower() not in (".json", ".csv", ".xml"):
        raise ConfigError(
            f"Labels {path!r} are none of COCO (.json), DeepForest (.csv), Pascal VOC (.xml)."
        )
    if not where.is_file():
        raise DataError(f"Labels {path} do not exist.")
    return [path]


def listed_boxes(path: str) -> BoxListing:
    """All boxes and images that a file, or a folder of VOC files, names.

    Raises:
        ConfigError: no form of boxes has such a name.
        DataError: it is not of the form that its name says.
    """
    files = box_files(path)
    try:
        match Path(files[0]).suffix.lower():
            case ".json":
                return _coco(json.loads(Path(path).read_bytes()))
            case ".csv":
                with open(path, newline="", encoding="utf-8-sig") as file:
                    return _table(file)
            case _:
                return _voc(files)
    except (OSError, ValueError, ElementTree.ParseError) as error:
        raise DataError(f"Labels {path} cannot be read: {error}") from error


def _coco(tree: Any) -> BoxListing:
    kinds = ("images", "annotations", "categories")
    lacking = [
        key for key in kinds if not (isinstance(tree, dict) and isinstance(tree.get(key), list))
    ]
    if lacking:
        raise ValueError(f"it is no COCO file: it has no list of {', '.join(lacking)}")
    try:
        classes = {it["id"]: str(it["name"]) for it in tree["categories"]}
        images = {it["id"]: LabelledImage(it["file_name"], _size(it)) for it in tree["images"]}
        boxes = tuple(
            ListedBox(
                number=int(it["id"]),
                image=images[it["image_id"]].name if it["image_id"] in images else "",
                class_name=classes.get(it["category_id"], ""),
                edges_px=_edges_of_corner(it.get("bbox")),
                crowd=bool(it.get("iscrowd")),
            )
            for it in tree["annotations"]
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"it is no COCO file: an entry lacks {error}") from error
    return BoxListing(_each_once(images.values()), boxes)


def _table(file: Iterable[str]) -> BoxListing:
    rows = csv.DictReader(file)
    missing = [name for name in _COLUMNS if name not in (rows.fieldnames or ())]
    if missing:
        raise ValueError(f"it has no column {', '.join(missing)}; its first line must name them")
    images: list[LabelledImage] = []
    boxes: list[ListedBox] = []
    for row in rows:
        name = (row["image_path"] or "").strip()
        if name:
            images.append(LabelledImage(name))
        edges = _numbers(row[column] for column in _COLUMNS[1:])
        if edges == (0.0,) * 4:  # DeepForest's row of an image without objects
            continue
        boxes.append(ListedBox(rows.line_num, name, (row.get("label") or "").strip(), edges))
    return BoxListing(_each_once(images), tuple(boxes))


def _voc(files: Iterable[str]) -> BoxListing:
    images: list[LabelledImage] = []
    boxes: list[ListedBox] = []
    for path in files:
        root = ElementTree.parse(path).getroot()
        name = (root.findtext("filename") or "").strip()
        if root.tag != "annotation" or not name:
            raise ValueError(f"{path} is no Pascal VOC file: it is no annotation with a filename")
        size = {key: root.findtext(f"size/{key}") for key in ("height", "width")}
        images.append(LabelledImage(name, _size(size)))
        for found in root.iter("object"):
            edges = _numbers(found.findtext(f"bndbox/{column}") for column in _COLUMNS[1:])
            boxes.append(
                ListedBox(len(boxes) + 1, name, (found.findtext("name") or "").strip(), edges)
            )
    return BoxListing(_each_once(images), tuple(boxes))


def _each_once(images: Iterable[LabelledImage]) -> tuple[LabelledImage, ...]:
    return tuple({image.name: image for image in images}.values())


def _size(entry: Mapping[str, Any]) -> tuple[int, int] | None:
    """Height and width; None where the entry does not say, or says 0 as some tools do."""
    height, width = (int(entry.get(key) or 0) for key in ("height", "width"))
    return (height, width) if height and width else None


def _edges_of_corner(box: Any) -> tuple[float, ...]:
    """Left, top, right, bottom of left, top, width, height."""
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
    except (TypeError, ValueError):
        return _NO_NUMBERS
