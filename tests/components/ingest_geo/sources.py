"""A small source of every kind, with the files that determine its examples."""

import csv
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from PIL import Image
from rasterio.transform import from_origin

_LEFT, _TOP, _GSD_M, _SIDE_PX = 500_000, 5_300_000, 10, 64


@dataclass(frozen=True)
class Made:
    """A source as a tree of plain values, and the files whose content matters.

    Attributes:
        tree: plain values of an IngestConfig.
        files: files that ingest reads.
        another: writes one more file that ingest would read.
    """

    tree: dict[str, Any]
    files: tuple[Path, ...]
    another: Callable[[], Path]


def photograph(path: Path, number: int) -> Path:
    """Writes a PNG that is unique to its number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(number).integers(0, 256, (12, 12, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def raster(path: Path, number: int, classes: int = 0, east_px: int = 0) -> Path:
    """Writes a GeoTIFF of 64 x 64 pixels, unique to its number; with classes, in two halves."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(number).integers(1, 200, (_SIDE_PX, _SIDE_PX)).astype(np.uint8)
    if classes:
        pixels = np.repeat(np.arange(_SIDE_PX) * classes // _SIDE_PX + 1, _SIDE_PX)
        pixels = pixels.reshape(_SIDE_PX, _SIDE_PX).astype(np.uint8)
    place = from_origin(_LEFT + east_px * _GSD_M, _TOP, _GSD_M, _GSD_M)
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=_SIDE_PX,
        width=_SIDE_PX,
        count=1,
        dtype="uint8",
        crs="EPSG:32632",
        transform=place,
    ) as dataset:
        dataset.write(pixels, 1)
    return path


def polygons(path: Path, boxes_px: Iterable[tuple[int, ...]], **properties: str) -> Path:
    """GeoJSON of rectangles, given as left, top, right and bottom in pixels of `raster`."""
    features = []
    for left, top, right, bottom in boxes_px:
        west, east = (_LEFT + _GSD_M * it for it in (left, right))
        north, south = (_TOP - _GSD_M * it for it in (top, bottom))
        ring = [(west, north), (west, south), (east, south), (east, north), (west, north)]
        geometry = {"type": "Polygon", "coordinates": [ring]}
        features.append({"type": "Feature", "properties": properties, "geometry": geometry})
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32632"}}
    document = {"type": "FeatureCollection", "crs": crs, "features": features}
    path.write_text(json.dumps(document))
    return path


def _folders(root: Path) -> Made:
    files = [photograph(root / "data" / "ab"[it % 2] / f"{it}.png", it) for it in range(4)]
    tree = {"source": {"kind": "folders", "uri": str(root / "data")}}
    return Made(tree, tuple(files), lambda: photograph(root / "data" / "a" / "more.png", 99))


def _manifest(root: Path) -> Made:
    table = root / "table.csv"
    images = [photograph(root / f"{it}.png", it) for it in range(3)]
    masks = [_mask(root / f"mask{it}.png") for it in range(3)]

    def write(count: int) -> Path:
        with table.open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(("uri", "mask"))
            rows.writerows((f"{it}.png", f"mask{it}.png") for it in range(count))
        return table

    write(3)
    legend = {"values": {1: "one", 2: "two"}}
    source = {"kind": "manifest", "uri": str(table), "columns": {"mask": "mask"}, "legend": legend}
    return Made({"source": source}, (*images, *masks), lambda: write(4))


def _mask(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.repeat([[1, 2]], 12, axis=0).repeat(6, axis=1).astype(np.uint8)).save(path)
    return path


def _masked(root: Path) -> Made:
    images = [photograph(root / "images" / f"{it}.png", it) for it in range(3)]
    masks = [_mask(root / "masks" / f"{it}.png") for it in range(3)]
    source = {
        "kind": "masked",
        "uri": str(root / "images"),
        "masks": str(root / "masks"),
        "legend": {"values": {1: "one", 2: "two"}},
    }

    def another() -> Path:
        _mask(root / "masks" / "more.png")
        return photograph(root / "images" / "more.png", 99)

    return Made({"source": source}, (*images, *masks), another)


def _coco(path: Path, names: Iterable[str], side_px: int) -> Path:
    images = [
        {"id": at, "file_name": name, "height": side_px, "width": side_px}
        for at, name in enumerate(names)
    ]
    boxes = [
        {"id": it["id"], "image_id": it["id"], "category_id": 1, "bbox": [1, 1, 5, 5]}
        for it in images
    ]
    document = {
        "images": images,
        "annotations": boxes,
        "categories": [{"id": 1, "name": "tree"}],
    }
    path.write_text(json.dumps(document))
    return path


def _boxed(root: Path) -> Made:
    images = [photograph(root / "images" / f"{it}.png", it) for it in range(3)]
    boxes = _coco(root / "boxes.json", ("0.png", "1.png", "2.png", "more.png"), 12)
    source = {
        "kind": "boxed",
        "uri": str(root / "images"),
        "boxes": {"path": str(boxes), "outside": "ignore"},
    }
    another = lambda: photograph(root / "images" / "more.png", 99)  # noqa: E731
    return Made({"source": source}, (*images, boxes), another)


def _chips(root: Path) -> Made:
    files = [
        raster(root / "chips" / "ab"[it % 2] / f"{it}.tif", it, east_px=100 * it) for it in range(4)
    ]
    world = root / "chips" / "a" / "0.tfw"
    world.write_text("10\n0\n0\n-10\n500005\n5299995\n")
    tree = {
        "source": {"kind": "chips", "uri": str(root / "chips")},
        "image": {"bands": ["B1"]},
        "split_by": {"by": "tile", "insist": True},
    }
    another = lambda: raster(root / "chips" / "a" / "more.tif", 9, east_px=900)  # noqa: E731
    return Made(tree, (*files, world), another)


def _scenes(root: Path, labels: dict[str, Any] | None, target: str, *more: Path) -> Made:
    files = [raster(root / "scenes" / f"{it}.tif", it, east_px=100 * it) for it in range(2)]
    source = {
        "kind": "scenes",
        "uri": str(root / "scenes"),
        "tiling": {"size_px": 32},
        "labels": labels,
        "target": {"to": target},
    }
    tree = {
        "source": source,
        "image": {"bands": ["B1"], "height_px": 32, "width_px": 32},
        "split_by": {"by": "tile", "insist": True},
    }
    another = lambda: raster(root / "scenes" / "more.tif", 9, east_px=900)  # noqa: E731
    return Made(tree, (*files, *more), another)


def _scenes_with_shapes(root: Path) -> Made:
    shapes = polygons(root / "shapes.geojson", [(0, 0, 64, 64)], class_name="one")
    area = polygons(root / "area.geojson", [(0, 0, 200, 64)])
    drawn = polygons(root / "drawn.geojson", [(-9, -9, 999, 99)], split="train")
    labels = {"kind": "shapes", "path": str(shapes), "class_field": "class_name"}
    made = _scenes(root, labels, "class", shapes, area, drawn)
    made.tree["source"]["area"] = str(area)
    made.tree["split_by"] = {"by": "area", "path": str(drawn)}
    return made


def _scenes_with_class_raster(root: Path) -> Made:
    classes = raster(root / "classes.tif", 0, classes=2)
    legend = {"values": {1: "one", 2: "two"}}
    labels = {"kind": "class_raster", "path": str(classes), "legend": legend}
    return _scenes(root, labels, "mask", classes)


def _scenes_with_masks(root: Path) -> Made:
    masks = [raster(root / "masks" / f"{it}.tif", 0, 2, east_px=100 * it) for it in range(2)]
    legend = {"values": {1: "one", 2: "two"}}
    labels = {"kind": "masks", "folder": str(root / "masks"), "legend": legend}
    return _scenes(root, labels, "mask", *masks)


def _scenes_with_boxes(root: Path) -> Made:
    boxes = _coco(root / "boxes.json", ("0.tif", "1.tif", "more.tif"), _SIDE_PX)
    labels = {"kind": "boxes", "path": str(boxes), "outside": "ignore"}
    return _scenes(root, labels, "boxes", boxes)


def _scenes_beside_files(root: Path) -> Made:
    """Scenes with a mask of their own in a file beside them."""
    made = _scenes(root, None, "class")
    valid = Image.fromarray(np.full((_SIDE_PX, _SIDE_PX), 255, np.uint8))
    beside = made.files[0].with_suffix(".tif.msk")
    valid.save(beside, "TIFF")
    return Made(made.tree, (*made.files, beside), made.another)


def _stac(root: Path) -> Made:
    files = [raster(root / f"{it}.tif", it, east_px=100 * it) for it in range(2)]
    items = root / "items.json"

    def write(paths: Iterable[Path]) -> Path:
        features = [
            {
                "type": "Feature",
                "stac_version": "1.0.0",
                "id": path.stem,
                "geometry": {"type": "Point", "coordinates": [9, 47.8]},
                "bbox": [8, 47, 10, 48],
                "properties": {"datetime": "2022-05-06T10:00:00Z"},
                "links": [],
                "assets": {"image": {"href": str(path), "type": "image/tiff"}},
            }
            for path in paths
        ]
        items.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
        return items

    write(files)
    tree = {
        "source": {"kind": "stac", "query": {"source": str(items)}, "tiling": {"size_px": 32}},
        "image": {"bands": ["image"], "height_px": 32, "width_px": 32},
        "split_by": {"by": "tile", "insist": True},
    }
    another = lambda: write([*files, raster(root / "2.tif", 9, east_px=900)])  # noqa: E731
    return Made(tree, tuple(files), another)


#: What makes each kind in a folder.
KINDS: dict[str, Callable[[Path], Made]] = {
    "folders": _folders,
    "manifest": _manifest,
    "masked": _masked,
    "boxed": _boxed,
    "chips": _chips,
    "scenes_shapes": _scenes_with_shapes,
    "scenes_class_raster": _scenes_with_class_raster,
    "scenes_masks": _scenes_with_masks,
    "scenes_boxes": _scenes_with_boxes,
    "scenes_mask_file": _scenes_beside_files,
    "stac": _stac,
}
