"""Nothing is lost: each file of a source is read, is a reject, or is counted by a reason."""

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.transform import from_origin

from components.ingest.config import IngestConfig
from components.ingest.rasters.scenes.named import NamedScenes
from components.ingest.records.record import Contents
from components.ingest.sources import family_of, list_source
from components.raster.walk import FILES_LEFT_OUT

LEGEND = {"values": {1: "field", 2: "water"}}


class Case(NamedTuple):
    """A source with every kind of file in it.

    Attributes:
        tree: of its configuration.
        roots: the folders that it has.
        labels: files that are read as labels and counted by their suffix among the others.
        examples: how many images or scenes can be learnt from.
        rejects: by key.
        ignored: by name.
    """

    tree: dict[str, Any]
    roots: tuple[str, ...]
    examples: int
    rejects: dict[str, str]
    ignored: dict[str, int]
    labels: tuple[str, ...] = ()


def fill(root: Path, *names: str) -> None:
    """Rasters, pictures, and files of other suffixes that hold next to nothing."""
    places = {folder: place for place, folder in enumerate(sorted(map(os.path.dirname, names)))}
    for number, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.full((16, 16), number % 2 + 1, np.uint8)
        if path.name.startswith((".", "broken")):
            path.write_bytes(b"\0\5\x16\7")
        elif path.suffix.lower() in (".tif", ".tiff"):
            east = 500_000 + 1_000 * places[os.path.dirname(name)]
            place = from_origin(east, 5_000_000, 10, 10)
            profile = {"driver": "GTiff", "height": 16, "width": 16, "count": 1, "dtype": "uint8"}
            with rasterio.open(path, "w", crs="EPSG:32632", transform=place, **profile) as dataset:
                dataset.write(pixels, 1)
        elif path.suffix.lower() in (".png", ".jpg"):
            Image.fromarray(pixels).save(path)
        else:
            path.write_text("{}")


def litter(root: Path) -> dict[str, int]:
    """Files that no source can use, some of them behind a link and in a cycle of links."""
    elsewhere = Path(f"{root}_elsewhere".replace("/images/", "_"))
    fill(root, "_SUCCESS", "notes.TXT", "sub/.hidden.tif", ".old/a.tif", ".old/deep/b.png")
    fill(elsewhere, "more.txt")
    (root / "sub/link").symlink_to(elsewhere)
    (root / "sub/circle").symlink_to(root)
    return {"(hidden)": 3, "(marker)": 1, ".txt": 2}


def folders(root: Path) -> Case:
    fill(root / "images", "a/1.jpg", "b/2.PNG", "b/raw", "beside.jpg", "b/3.tif.gz")
    ignored = litter(root / "images") | {".gz": 1}
    tree = {"source": {"kind": "folders", "uri": str(root / "images")}}
    rejects = {"beside.jpg": "no_label"}
    return Case(tree, ("images",), 3, rejects, ignored)


def chips(root: Path) -> Case:
    fill(root / "images", "a/1.tif", "b/2.TIFF", "b/broken.tif", "beside.tif", "a/1.tif.aux.xml")
    os.mkfifo(root / "images/b/pipe.tif")
    source = {"kind": "chips", "uri": str(root / "images")}
    rejects = {"beside.tif": "no_label", "b/broken.tif": "unreadable", "b/pipe.tif": "unreadable"}
    ignored = litter(root / "images") | {".xml": 1}
    return Case({"source": source, **of_rasters("B1")}, ("images",), 2, rejects, ignored)


def masked(root: Path) -> Case:
    images, masks = root / "images", root / "masks"
    fill(images, "1/o.jpg", "2/o.jpg", "2/p.jpg", "q.jpg", "lacks.jpg", "q.txt")
    fill(masks, "1/o.png", "2/o.png", "p.png", "q.png", "q.tif", "nobody.png", "p.tfw")
    both = litter(images), litter(masks)
    source = {"kind": "masked", "uri": str(images), "masks": str(masks), "legend": LEGEND}
    ignored = {name: 2 * count for name, count in both[0].items()}
    ignored |= {".txt": 5, ".tfw": 1, "(unused_mask)": 3}
    rejects = {"q.jpg": "ambiguous_truth", "lacks.jpg": "no_mask"}
    return Case({"source": source}, ("images", "masks"), 3, rejects, ignored)


def voc(path: Path, name: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"<annotation><filename>{name}</filename></annotation>")


def boxed(root: Path) -> Case:
    images, labels = root / "images", root / "labels"
    fill(images, "1/o.jpg", "2/o.jpg", "p.jpg", "twice.jpg", "twice.png", "lacks.jpg")
    for name in ("1/o.jpg", "2/o.jpg", "p.jpg", "twice.tif"):
        voc((labels / name).with_suffix(".xml"), name)
    litter(labels)
    ignored = {name: 2 * count for name, count in litter(images).items()}
    source = {"kind": "boxed", "uri": str(images), "boxes": {"path": str(labels)}}
    rejects = {"twice.jpg": "ambiguous_truth", "twice.png": "ambiguous_truth"}
    rejects |= {"lacks.jpg": "no_boxes"}
    files = tuple(f"labels/{name}.xml" for name in ("1/o", "2/o", "p", "twice"))
    return Case({"source": source}, ("images", "labels"), 3, rejects, ignored, files)


def boxed_beside(root: Path) -> Case:
    """The labels lie among the photographs, and count there by their suffix."""
    fill(root / "images", "a.jpg", "b.jpg")
    rows = "image_path,xmin,ymin,xmax,ymax,label\na.jpg,1,1,9,9,tree\n"
    ignored = litter(root / "images") | {".csv": 1}
    (root / "images/boxes.csv").write_text(rows)
    boxes = {"path": str(root / "images/boxes.csv")}
    source = {"kind": "boxed", "uri": str(root / "images"), "boxes": boxes}
    return Case({"source": source}, ("images",), 1, {"b.jpg": "no_boxes"}, ignored)


def of_rasters(*bands: str) -> dict[str, Any]:
    image = {"height_px": 16, "width_px": 16, "bands": list(bands)}
    return {"image": image, "split_by": {"by": "tile", "insist": True}}


def scenes(root: Path, bands: Iterable[str], **source: Any) -> dict[str, Any]:
    tree = {"kind": "scenes", "uri": str(root / "images"), "tiling": {"size_px": 16}, **source}
    return {"source": tree, **of_rasters(*bands)}


def scenes_with_masks(root: Path) -> Case:
    images, masks = root / "images", root / "masks"
    fill(images, "1/o.tif", "2/o.tif", "p.TIF", "lacks.tif", "q.tif", "broken.tif", "p.png", "p.nc")
    fill(masks, "1/o.png", "2/o.tif", "p.png", "q.tif", "q.png", "broken.png", "nobody.png")
    litter(masks)
    ignored = {name: 2 * count for name, count in litter(images).items()}
    ignored |= {".png": 1, ".nc": 1, "(unused_mask)": 3}
    labels = {"kind": "masks", "folder": str(masks), "legend": LEGEND}
    tree = scenes(root, ["B1"], labels=labels, target={"to": "mask"})
    rejects = {"lacks": "no_mask", "q": "ambiguous_truth", "broken": "unreadable"}
    return Case(tree, ("images", "masks"), 3, rejects, ignored)


def scenes_with_boxes_below(root: Path) -> Case:
    """The folder of labels lies in that of the scenes, and none of its files counts twice."""
    fill(root / "images", "a.tif", "b.tif", "c.tif")
    for name in ("a", "b"):
        voc(root / f"images/labels/{name}.xml", f"{name}.tif")
    ignored = litter(root / "images/labels")
    labels = {"kind": "boxes", "path": str(root / "images/labels")}
    tree = scenes(root, ["B1"], labels=labels, target={"to": "boxes"})
    files = ("images/labels/a.xml", "images/labels/b.xml")
    return Case(tree, ("images",), 2, {"c": "no_boxes"}, ignored, files)


def scenes_of_a_file_a_band(root: Path) -> Case:
    fill(root / "images", "a/B02.tif", "a/B03.tif", "b/B02.tif", "b/B03.tiff", "b/raw", "c/B02.tif")
    ignored = litter(root / "images") | {"(no_suffix)": 1, ".json": 1}
    fill(root / "images", "a/metadata.json")
    tree = scenes(root, ["B03", "B02"], layout="folder")
    return Case(tree, ("images",), 2, {"c": "unknown_band"}, ignored)


def landsat(root: Path) -> Case:
    fill(root / "images", "one/X_B4.TIF", "one/X_B5.TIF", "one/X_ANG.txt", "two/Y_B4.TIF")
    for name, product in (("one", "X"), ("two", "Y")):
        text = f'LANDSAT_PRODUCT_ID = "{product}"\nSPACECRAFT_ID = "LANDSAT_8"\n'
        (root / f"images/{name}/{product}_MTL.txt").write_text(text)
    ignored = litter(root / "images") | {".txt": 5, ".xml": 1}
    fill(root / "images", "one/X_MTL.xml")
    return Case(scenes(root, ["B5"]), ("images",), 1, {"Y": "unknown_band"}, ignored)


def shapes_beside(root: Path) -> Case:
    fill(root / "images", "a.tif")
    ring = [[500_000, 4_999_840], [500_160, 4_999_840], [500_160, 5_000_000], [500_000, 4_999_840]]
    feature = {"type": "Feature", "properties": {}}
    feature["geometry"] = {"type": "Polygon", "coordinates": [ring]}
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32632"}}
    tree = {"type": "FeatureCollection", "crs": crs, "features": [feature]}
    ignored = litter(root / "images") | {".geojson": 1}
    (root / "images/labels.geojson").write_text(json.dumps(tree))
    labels = {"kind": "shapes", "path": str(root / "images/labels.geojson")}
    return Case(scenes(root, ["B1"], labels=labels), ("images",), 1, {}, ignored)


CASES = (folders, chips, masked, boxed, boxed_beside, scenes_with_masks, scenes_with_boxes_below)
CASES += (scenes_of_a_file_a_band, landsat, shapes_beside)


def files_below(*roots: Path) -> set[str]:
    """Every file, by its own path: links to folders are followed."""
    found = set()
    for root in roots:
        for folder, folders, names in os.walk(root, followlinks=True):
            folders[:] = [it for it in folders if it != "circle"]
            found |= {os.path.realpath(os.path.join(folder, name)) for name in names}
    return found


def files_read(named: Contents | NamedScenes) -> set[str]:
    """Reads the named images and scenes, with their masks."""
    if isinstance(named, Contents):
        records = [path for it in named.records for path in (it.uri, it.mask_uri)]
        return {os.path.realpath(path) for path in records if path is not None}
    paths = [file.path for scene in named.sources for file in scene.files]
    paths += [truth for truth in named.truths if truth is not None and os.path.isabs(truth)]
    return set(map(os.path.realpath, paths))


@pytest.mark.parametrize("make", CASES, ids=lambda make: make.__name__)
def test_files_are_read_rejected_or_counted(tmp_path: Path, make: Callable[[Path], Case]) -> None:
    case = make(tmp_path)
    config = IngestConfig.model_validate(case.tree)
    named, listing = family_of(config.source).find(), list_source(config)
    assert {it.key: str(it.reason) for it in listing.rejects} == case.rejects
    assert listing.ignored == case.ignored
    scenes = {part.source.scene_id for part in listing.parts}
    assert len(listing.records) + len(scenes) == case.examples
    others = {os.path.realpath(tmp_path / label) for label in case.labels}
    read = files_read(named) | {os.path.realpath(it.uri) for it in named.rejects} | others
    seen = files_below(*(tmp_path / root for root in case.roots))
    assert read <= seen
    counted = {name: count for name, count in listing.ignored.items() if name[0] == "."}
    counted |= {name: listing.ignored.get(name, 0) for name in FILES_LEFT_OUT}
    assert len(read) + sum(counted.values()) == len(seen)
    assert {os.path.realpath(reject.uri) for reject in listing.rejects} <= read


def test_each_row_of_a_manifest_is_an_image_or_a_reject(tmp_path: Path) -> None:
    rows = ["uri,label", "a.jpg,x", "a.jpg,x", "b.jpg,x", "b.jpg,y", ",x", "c.jpg,", "d.jpg,y"]
    (tmp_path / "m.csv").write_text("\n".join(rows))
    tree = {"source": {"kind": "manifest", "uri": str(tmp_path / "m.csv")}}
    listing = list_source(IngestConfig.model_validate(tree))
    assert {record.key for record in listing.records} == {"a.jpg", "d.jpg"}
    assert len(listing.records) + len(listing.rejects) == len(rows) - 1
