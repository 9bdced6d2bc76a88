"""Finds the labels beside scenes, and the task and classes that they support."""

import csv
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import shapely

from components.ingest.listing.folders import IMAGE_SUFFIXES, list_files
from components.raster.errors import DataError, SkymillError
from components.raster.labels.boxes import BoxFile, read_boxes
from components.raster.labels.vectors import VectorLabels, read_labels
from components.raster.pairing import file_name, pair
from pipelines.starter.masks import legend_of

_FOLDERS = ("masks", "mask", "labels", "label", "annotations", "annotation", "gt", "ground_truth")
_WORDS = re.compile(
    r"(^|[^a-z])(labels?|masks?|classes|annotations?|gt|groundtruth|landcover)([^a-z]|$)"
)
_SHAPES = (".gpkg", ".geojson", ".fgb", ".shp", ".json")
_CLASS_FIELDS = ("class", "class_name", "label", "category", "type", "kind", "species", "crop")
_MOST_CLASSES = 64
_POINT_SIZE_PX = 16
_BACKGROUND = "background"
_COLUMNS = {"image_path", "xmin", "ymin", "xmax", "ymax"}


@dataclass(frozen=True)
class FoundLabels:
    """Labels beside scenes.

    Attributes:
        tree: the value of `ingest.source.labels`.
        target: the value of `ingest.source.target`.
        classes: the names of the classes.
        rasters: class rasters.
        others: further labels that were found and are not used.
    """

    tree: dict[str, Any]
    target: dict[str, Any]
    classes: tuple[str, ...]
    rasters: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


def is_named_like_labels(folder: str, path: str) -> bool:
    """Checks whether a raster below a folder, or a folder above it, is named like labels."""
    *above, name = os.path.relpath(path, folder).split(os.sep)  # a Path would keep every name
    is_below = any(part.lower() in _FOLDERS for part in above)
    return is_below or _WORDS.search(os.path.splitext(name)[0].lower()) is not None


def find_labels(folder: str, scenes: Sequence[str]) -> FoundLabels | None:
    """Finds the labels in or below a folder; None if there are none.

    Raises:
        DataError: the labels cannot be used, or several of a kind are candidates.
    """
    files = [
        os.path.join(top, name)
        for top, _, names in os.walk(folder)
        for name in sorted(names)
        if not name.startswith(".")
    ]
    kinds: tuple[tuple[str, Callable[[str], FoundLabels], list[str]], ...] = (
        ("masks", _masks, list(_mask_folders(folder, files, scenes))),
        ("a raster of classes", _class_raster, _class_rasters(folder, files, scenes)),
        ("shapes", _shapes, [path for path in files if _are_shapes(path)]),
        ("boxes", _boxes, list(_box_paths(files))),
    )
    seen = [(what, make, paths) for what, make, paths in kinds if paths]
    if not seen:
        return None
    what, make, paths = seen[0]
    if len(paths) > 1:
        named = ", ".join(os.path.relpath(path, folder) for path in paths[:5])
        raise DataError(
            f"{folder}: {len(paths)} files could be the labels ({what}): {named}. Leave one of "
            "them there, or write the source by hand (docs/scenes.md)."
        )
    others = tuple(path for _, _, more in seen[1:] for path in more)
    found = make(paths[0])
    return FoundLabels(found.tree, found.target, found.classes, found.rasters, others)


def _mask_folders(folder: str, files: Sequence[str], scenes: Sequence[str]) -> Iterator[str]:
    """Yields folders named like masks that hold, at any depth, each scene's mask by ingest's
    pairing rule.
    """
    images = [path for path in files if Path(path).suffix.lower() in IMAGE_SUFFIXES]
    root = os.path.commonpath([os.path.dirname(path) for path in scenes])
    names = [[file_name(os.path.relpath(path, root))] for path in scenes]
    for top in sorted({it for path in images if (it := _named_above(folder, path)) is not None}):
        held = [path for path in images if path.startswith(top + os.sep)]
        pairs = pair(names, [file_name(os.path.relpath(path, top)) for path in held])
        if None not in pairs.truth_of:
            yield top


def _named_above(folder: str, path: str) -> str | None:
    """Returns the topmost folder above a file that is named like a folder of masks."""
    parts = Path(os.path.relpath(path, folder)).parts[:-1]
    named = (place for place, part in enumerate(parts) if part.lower() in _FOLDERS)
    place = next(named, None)
    return None if place is None else os.path.join(folder, *parts[: place + 1])


def _class_rasters(folder: str, files: Sequence[str], scenes: Sequence[str]) -> list[str]:
    """Returns the rasters that are named like labels and belong to no single scene."""
    rasters = [path for path in files if path.lower().endswith((".tif", ".tiff", ".img"))]
    known = set(scenes)
    return [it for it in rasters if it not in known and is_named_like_labels(folder, it)]


def _masks(path: str) -> FoundLabels:
    masks = [record.uri for record in list_files(path).records]
    legend = legend_of(masks[:: max(1, len(masks) // 20)])
    tree = {"kind": "masks", "folder": path, "legend": legend.model_dump(exclude_defaults=True)}
    return FoundLabels(tree, {"to": "mask"}, legend.class_names, tuple(masks))


def _class_raster(path: str) -> FoundLabels:
    legend = legend_of([path])
    if legend.colours:
        raise DataError(f"{path}: holds colours; a raster of classes holds a value for each class.")
    tree = {
        "kind": "class_raster",
        "path": path,
        "legend": legend.model_dump(exclude_defaults=True),
    }
    return FoundLabels(tree, {"to": "mask"}, legend.class_names, (path,))


def _are_shapes(path: str) -> bool:
    if not path.lower().endswith(_SHAPES):
        return False
    return not path.lower().endswith(".json") or _has_key(path, "features", "geometry")


def _has_key(path: str, *keys: str) -> bool:
    try:
        tree = json.loads(Path(path).read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(tree, dict) and any(key in tree for key in keys)


def _shapes(path: str) -> FoundLabels:
    field = _class_field(path)
    tree: dict[str, Any] = {"kind": "shapes", "path": path}
    if field is not None:
        tree["class_field"] = field
    found = read_labels(VectorLabels(path=path, class_field=field))
    if bool((shapely.area(found.geometries) == 0).all()):
        target: dict[str, Any] = {"to": "boxes", "point_size_px": _POINT_SIZE_PX}
        return FoundLabels(tree, target, found.class_names)
    if len(found.class_names) > 1:
        return FoundLabels(tree, {"to": "mask"}, found.class_names)
    target = {"to": "mask", "background": _BACKGROUND}
    return FoundLabels(tree, target, (*found.class_names, _BACKGROUND))


def _class_field(path: str) -> str | None:
    """Returns the class field: one with a usual name, else the only text field of few values."""
    import pyogrio  # with pandas it takes a second, which folders without shapes save

    try:
        meta, _, _, columns = pyogrio.raw.read(path, read_geometry=False)
    except Exception as error:  # pyogrio raises many types; the reader of labels names the cause
        raise DataError(f"{path}: cannot be read as labels ({error})") from error
    named = dict(zip(map(str, meta["fields"]), columns, strict=True))
    fields = {
        name: Counter(str(value) for value in column if value is not None)
        for name, column in named.items()
    }
    texts = {name for name, column in named.items() if column.dtype == object}
    few = [name for name, counts in fields.items() if 1 <= len(counts) <= _MOST_CLASSES]
    usual = [name for wanted in _CLASS_FIELDS for name in few if name.lower() == wanted]
    if usual:
        return usual[0]
    repeated = [name for name in few if name in texts and max(fields[name].values()) > 1]
    return repeated[0] if len(repeated) == 1 else None


def _box_paths(files: Sequence[str]) -> Iterator[str]:
    yield from (it for it in files if it.lower().endswith(".json") and _has_key(it, "annotations"))
    yield from (it for it in files if it.lower().endswith(".csv") and _is_table_of_boxes(it))
    annotated = (it for it in files if it.lower().endswith(".xml") and _is_voc(it))
    yield from sorted({os.path.dirname(path) for path in annotated})


def _is_table_of_boxes(path: str) -> bool:
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            return set(next(csv.reader(file), ())) >= _COLUMNS
    except (OSError, ValueError, csv.Error):
        return False


def _is_voc(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return b"<annotation" in file.read(1000)
    except OSError:
        return False


def _boxes(path: str) -> FoundLabels:
    try:
        found = read_boxes(BoxFile(path=path))
    except SkymillError as error:
        raise DataError(f"{path}: cannot be read as boxes: {error}") from error
    return FoundLabels({"kind": "boxes", "path": path}, {"to": "boxes"}, found.class_names)
