"""Boxes in pixels through the real ingest: every file format, and every kind of unusable box."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from components.ingest.config import IngestConfig
from components.ingest.fingerprint import fingerprint_dataset
from components.ingest.look import look
from components.ingest.sources import list_source
from components.raster.errors import ConfigError, DataError
from components.raster.labels.box_files import BoxListing, listed_boxes
from tests.components.ingest_geo.conftest import by_key, floats, strings

#: Left, top, right, bottom and class; the second lies across two tiles of 32 pixels.
BOXES = {
    "east.png": [(4, 6, 20, 12, "tree"), (24, 8, 44, 20, "roof"), (50.5, 40, 70, 60, "tree")],
    "west.png": [],
}
HEIGHT, WIDTH = 64, 70
COLUMNS = ("image_path", "xmin", "ymin", "xmax", "ymax", "label")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    random = np.random.default_rng(2)
    for name in BOXES:  # no two tiles alike, as those would be copies
        pixels = random.integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
        Image.fromarray(pixels).save(folder / name)
    return folder


def coco(boxes: dict[str, list] = BOXES, size: tuple[int, int] = (HEIGHT, WIDTH)) -> dict[str, Any]:
    names = ("roof", "tree")
    annotations = [
        {
            "image_id": place,
            "category_id": 10 + names.index(name),
            "bbox": [left, top, right - left, bottom - top],
            "iscrowd": 0,
        }
        for place, found in enumerate(boxes.values())
        for left, top, right, bottom, name in found
    ]
    return {
        "images": [
            {"id": place, "file_name": name, "height": size[0], "width": size[1]}
            for place, name in enumerate(boxes)
        ],
        "annotations": [{"id": place + 1, **it} for place, it in enumerate(annotations)],
        "categories": [{"id": 10 + place, "name": name} for place, name in enumerate(names)],
    }


def write_coco(folder: Path, tree: Any) -> Path:
    path = folder / "boxes.json"
    path.write_text(json.dumps(tree))
    return path


def write_csv(folder: Path) -> Path:
    path = folder / "boxes.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for name, boxes in BOXES.items():
            writer.writerows((name, *box) for box in boxes or [(0, 0, 0, 0, "tree")])
    return path


def write_voc(folder: Path) -> Path:
    folder = folder / "voc"
    folder.mkdir()
    for name, boxes in BOXES.items():
        objects = "".join(
            f"<object><name>{box[4]}</name><bndbox>"
            + "".join(
                f"<{key}>{edge}</{key}>" for key, edge in zip(COLUMNS[1:5], box, strict=False)
            )
            + "</bndbox></object>"
            for box in boxes
        )
        size = f"<size><width>{WIDTH}</width><height>{HEIGHT}</height><depth>3</depth></size>"
        text = f"<annotation><filename>{name}</filename>{size}{objects}</annotation>"
        (folder / f"{Path(name).stem}.xml").write_text(text)
    return folder


def tree_of(photos: Path, path: Path, **more: Any) -> dict[str, Any]:
    source = {
        "kind": "scenes",
        "uri": str(photos),
        "suffixes": [".png"],
        "without_map": True,
        "tiling": {"size_px": 32},
        "labels": {"kind": "boxes", "path": str(path), **more.pop("labels", {})},
        "target": {"to": "boxes", "min_visible": 0.5},
        **more.pop("source", {}),
    }
    return {
        "source": source,
        "image": {"bands": ["red", "green", "blue"]},
        "split_by": {"by": "tile", "insist": True},
        "max_reject_fraction": 1,
        **more,
    }


def objects_of(outcome: Any) -> dict[str, list]:
    """Edges and class of each object, by the tile's key; tiles without an object are left out."""
    names = ("ymin", "xmin", "ymax", "xmax")
    found = {}
    for key, (_, features) in by_key(outcome).items():
        edges = zip(*(floats(features, f"object/bbox/{edge}") for edge in names), strict=True)
        texts = strings(features, "object/label/text")
        found[key] = [(*box, text) for box, text in zip(edges, texts, strict=True)]
    return {key: boxes for key, boxes in found.items() if boxes}


@pytest.mark.parametrize(
    "write",
    [lambda folder: write_coco(folder, coco()), write_csv, write_voc],
    ids=["coco", "csv", "voc"],
)
def test_each_form_gives_the_boxes_of_each_tile(run, photos, tmp_path, write):
    outcome = run(tree_of(photos, write(tmp_path)))
    assert objects_of(outcome) == {
        "east@0,0,32x32": [(6, 4, 12, 20, "tree")],
        "east@0,32,32x32": [(8, 0, 20, 12, "roof")],  # 12 of its 20 columns
        "east@32,32,32x32": [(8, 18.5, 28, 32, "tree")],
    }
    assert len(by_key(outcome)) == 2 * 6, "an image without an object has tiles as well"
    assert outcome.classes() == ["roof", "tree"]
    assert not outcome.rejects()


def test_every_box_and_image_of_no_use_is_a_reject_with_its_reason(run, photos, tmp_path):
    tree = coco()
    good = tree["annotations"][0]
    tree["annotations"] += [
        {**good, "id": 11, "bbox": [3, 3, 0, 5]},
        {**good, "id": 12, "bbox": [3, 3, "wide", 5]},
        {**good, "id": 13, "bbox": [90, 3, 5, 5]},
        {**good, "id": 14, "iscrowd": 1},
        {**good, "id": 15, "category_id": 99},
        {**good, "id": 16, "image_id": 99},
        {**good, "id": 17, "image_id": 7},
        {**good, "id": 18, "bbox": [60, 50, 90, 90]},  # cut at the image's edge: of use
    ]
    tree["images"].append({"id": 7, "file_name": "nowhere.png"})
    Image.new("RGB", (40, 40)).save(photos / "unlabelled.png")
    outcome = run(tree_of(photos, write_coco(tmp_path, tree)))
    rejects = outcome.rejects()
    assert {key: str(it.reason) for key, it in rejects.items()} == {
        "boxes.json#11": "empty_geometry",
        "boxes.json#12": "empty_geometry",
        "boxes.json#13": "outside_image",
        "boxes.json#14": "crowd",
        "boxes.json#15": "no_class",
        "boxes.json#16": "no_image",
        "boxes.json#17": "outside_scenes",
        "unlabelled": "no_boxes",
    }
    assert "0 x 5 pixels" in rejects["boxes.json#11"].detail
    assert objects_of(outcome)["east@32,64,32x32"] == [(18, 0, 32, 6, "tree")]
    kept = run(tree_of(photos, write_coco(tmp_path, tree), labels={"outside": "ignore"}), "again")
    assert "boxes.json#17" not in kept.rejects()


def boxed(photos: Path, path: Path, **more: Any) -> dict[str, Any]:
    return {
        "source": {"kind": "boxed", "uri": str(photos), "boxes": {"path": str(path), **more}},
        "max_reject_fraction": 1,
    }


def test_photographs_stay_whole_with_all_their_boxes(run, photos, tmp_path):
    tree = boxed(photos, write_coco(tmp_path, coco()))
    outcome = run(tree)
    wanted = [
        (top, left, bottom, right, name) for left, top, right, bottom, name in BOXES["east.png"]
    ]
    assert objects_of(outcome) == {"east.png": wanted}
    (_, features) = by_key(outcome)["west.png"]
    assert strings(features, "image/format") == ["png"]
    assert outcome.classes() == ["roof", "tree"]
    assert not outcome.rejects()
    config = IngestConfig.model_validate(tree)
    assert config.task == "detection"
    assert look(config, count=2).width > WIDTH
    before = fingerprint_dataset(config.source)
    write_coco(tmp_path, coco({**BOXES, "west.png": [(1, 1, 9, 9, "roof")]}))
    assert fingerprint_dataset(config.source) != before


def test_a_photograph_with_boxes_of_no_use_is_a_reject(run, photos, tmp_path):
    tree = coco()
    good = tree["annotations"][0]
    tree["annotations"] += [
        {**good, "id": 11, "bbox": [3, 3, 0, 5]},
        {**good, "id": 13, "bbox": [90, 3, 5, 5]},
        {**good, "id": 17, "image_id": 7},
    ]
    tree["images"][1]["height"] += 1
    tree["images"].append({"id": 7, "file_name": "nowhere.png"})
    for name in ("unlabelled.png", "north.png"):
        Image.effect_noise((40, 40), 50).save(photos / name)
    tree["images"].append({"id": 8, "file_name": "north.png"})
    outcome = run(boxed(photos, write_coco(tmp_path, tree)))
    assert {key: str(it.reason) for key, it in outcome.rejects().items()} == {
        "boxes.json#11": "empty_geometry",
        "boxes.json#17": "outside_scenes",
        "east.png": "outside_image",
        "unlabelled.png": "no_boxes",
        "west.png": "boxes_differ",
    }
    assert list(by_key(outcome)) == ["north.png"]


def test_boxes_of_an_image_of_another_size_are_not_laid_on_it(run, photos, tmp_path):
    tree = coco()
    tree["images"][0] |= {"height": WIDTH, "width": HEIGHT}
    rejects = run(tree_of(photos, write_coco(tmp_path, tree))).rejects()
    assert str(rejects["east"].reason) == "boxes_differ"
    assert "70 x 64 pixels (height x width); the image has 64 x 70" in rejects["east"].detail


def test_names_may_have_folders_and_other_suffixes(run, photos, tmp_path):
    for side in BOXES:
        (photos / side).rename(photos / side.replace("st.png", "st_of_town.png"))
    named = {
        f"C:\\town\\photos\\{name.replace('st.png', 'st_of_town.jpg')}": it
        for name, it in BOXES.items()
    }
    tree = coco(named)
    for image in tree["images"]:
        image["file_name"] = image["file_name"].removeprefix("C:\\town\\")
    outcome = run(tree_of(photos, write_coco(tmp_path, tree), labels={"class_name": "thing"}))
    assert len(objects_of(outcome)) == 3
    assert outcome.classes() == ["thing"]


def in_two_folders(photos: Path) -> None:
    for folder in ("new", "old"):
        (photos / folder).mkdir()
        pixels = np.random.default_rng(len(folder)).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
        Image.fromarray(pixels).save(photos / folder / "east.png")
    (photos / "east.png").unlink()


@pytest.mark.parametrize("tree", [tree_of, lambda *paths: boxed(*paths)], ids=["scenes", "boxed"])
@pytest.mark.parametrize(
    "named", ["old/east.png", "photos/old/east.jpg", "D:\\photos\\old\\east.png"]
)
def test_folders_in_the_labels_tell_images_of_one_name_apart(run, photos, tmp_path, tree, named):
    in_two_folders(photos)
    path = write_coco(tmp_path, coco({named: BOXES["east.png"], "west.png": []}))
    outcome = run(tree(photos, path))
    assert {key.partition("@")[0].partition(".")[0] for key in objects_of(outcome)} == {"old/east"}
    assert [str(it.reason) for it in outcome.rejects().values()] == ["no_boxes"]


@pytest.mark.parametrize("tree", [tree_of, lambda *paths: boxed(*paths)], ids=["scenes", "boxed"])
@pytest.mark.parametrize(
    "write",
    [lambda folder: write_coco(folder, coco()), write_csv, write_voc],
    ids=["coco", "csv", "voc"],
)
def test_boxes_that_two_images_could_have_are_given_to_neither(photos, tmp_path, tree, write):
    in_two_folders(photos)
    listing = list_source(IngestConfig.model_validate(tree(photos, write(tmp_path))))
    found = {it.key.removesuffix(".png"): it for it in listing.rejects}
    assert {key: str(it.reason) for key, it in found.items()} == {
        "new/east": "ambiguous_truth",
        "old/east": "ambiguous_truth",
    }
    assert "east.png could belong to new/east" in found["new/east"].detail
    named = [record.key for record in listing.records]
    named += [part.source.scene_id for part in listing.parts]
    assert {name.removesuffix(".png") for name in named} == {"west"}


def test_a_name_is_the_image_of_the_same_path_before_any_other(photos, tmp_path):
    (photos / "old").mkdir()
    (photos / "east.png").rename(photos / "old" / "east.png")
    Image.new("RGB", (WIDTH, HEIGHT)).save(photos / "east.png")
    config = IngestConfig.model_validate(tree_of(photos, write_coco(tmp_path, coco())))
    listing = list_source(config)
    assert {part.source.scene_id: part.truth for part in listing.parts} == {
        "east": "east.png",
        "west": "west.png",
    }
    assert {it.key: str(it.reason) for it in listing.rejects} == {"old/east": "no_boxes"}


def test_files_of_voc_lie_in_folders_as_their_images(run, photos, tmp_path):
    in_two_folders(photos)
    folder = write_voc(tmp_path)
    (folder / "old").mkdir()
    (folder / "east.xml").rename(folder / "old" / "east.xml")
    (folder / "._west.xml").write_bytes(b"\0\5\x16\7")
    (folder / "notes.txt").touch()
    outcome = run(boxed(photos, folder))
    assert set(objects_of(outcome)) == {"old/east.png"}
    assert outcome.summary.rejects == {"no_boxes": 1}
    assert outcome.summary.ignored == {"(hidden)": 1, ".txt": 1}


@pytest.mark.parametrize(
    ("kind", "entry", "match"),
    [
        (
            "images",
            {"id": 0, "file_name": "other.png"},
            "images have the id 0 .*east.png.*other.png",
        ),
        (
            "images",
            {"id": 9, "file_name": "./east.png"},
            "image 0 and image 9 are both of east.png",
        ),
        ("categories", {"id": 10, "name": "road"}, "categories have the id 10 .*'roof'.*'road'"),
        (
            "annotations",
            {"id": 1, "image_id": 1, "category_id": 10, "bbox": [1, 1, 2, 2]},
            "annotations have the id 1 ",
        ),
    ],
)
def test_what_a_coco_file_names_twice_is_refused(tmp_path, kind, entry, match):
    tree = coco()
    tree[kind].append(entry)
    with pytest.raises(DataError, match=match):
        listed_boxes(str(write_coco(tmp_path, tree)))


def test_two_files_of_voc_about_one_image_are_refused(tmp_path):
    folder = write_voc(tmp_path)
    (folder / "again.xml").write_text((folder / "east.xml").read_text())
    with pytest.raises(DataError, match="again.xml and east.xml are both of east.png"):
        listed_boxes(str(folder))


@pytest.mark.parametrize("edges", [",,,", "nan,NaN,NAN,nan", " , ,,", "0,0,0,0", "0.0,0,0,0"])
@pytest.mark.parametrize("label", ["", ",", ",tree"])
def test_a_row_without_edges_is_an_image_without_objects(tmp_path, edges, label):
    header = ",".join(COLUMNS[: 5 + bool(label)])
    rows = f"a.png,1,1,9,9{label and ',tree'}\nb.png,{edges}{label}\n"
    (tmp_path / "boxes.csv").write_text(f"{header}\n{rows}")
    listing = listed_boxes(str(tmp_path / "boxes.csv"))
    assert [image.name for image in listing.images] == ["a.png", "b.png"]
    assert [(box.image, box.edges_px) for box in listing.boxes] == [("a.png", (1, 1, 9, 9))]


@pytest.mark.parametrize("row", ["b.png,1,,9,9,tree", "b.png,nan,1,9,9,tree", ",,,,,tree"])
def test_a_row_that_lacks_some_is_no_image_without_objects(tmp_path, row):
    (tmp_path / "boxes.csv").write_text(f"{','.join(COLUMNS)}\n{row}\n")
    assert len(listed_boxes(str(tmp_path / "boxes.csv")).boxes) == 1


@pytest.mark.parametrize(
    ("name", "text", "error", "match"),
    [
        ("boxes.json", "{", DataError, "boxes.json cannot be read"),
        ("boxes.json", "[]", DataError, "no list of images, annotations, categories"),
        ("boxes.json", '{"images": [], "annotations": []}', DataError, "no list of categories"),
        (
            "boxes.json",
            '{"images": [{"id": 1}], "annotations": [], "categories": []}',
            DataError,
            "entry 1 of its images: it has no 'file_name'",
        ),
        ("boxes.csv", "image_path,xmin,ymin\n", DataError, "has no column xmax, ymax"),
        ("boxes.xml", "<annotation/>", DataError, "not an annotation with a filename"),
        ("boxes.txt", "", ConfigError, r"not COCO \(.json\), DeepForest \(.csv\)"),
    ],
)
def test_a_file_of_another_form_is_reported(tmp_path, name, text, error, match):
    (tmp_path / name).write_text(text)
    with pytest.raises(error, match=match):
        listed_boxes(str(tmp_path / name))


def test_what_boxes_cannot_tell_is_refused(photos, tmp_path):
    for changes, message in (
        ({"target": {"to": "mask"}}, "target mask cannot be derived from labels of kind boxes"),
        ({"target": {"to": "number"}}, "target number cannot be derived"),
        ({"warp": {"gsd_m": 2}}, "boxes in pixels cannot be warped"),
    ):
        with pytest.raises(ValidationError, match=message):
            IngestConfig.model_validate(tree_of(photos, tmp_path / "boxes.json", source=changes))


def test_the_fingerprint_follows_every_file_of_boxes(photos, tmp_path):
    folder = write_voc(tmp_path)
    config = IngestConfig.model_validate(tree_of(photos, folder))
    before = fingerprint_dataset(config.source)
    text = (folder / "west.xml").read_text()
    (folder / "west.xml").write_text(text.replace("</annotation>", " </annotation>"))
    assert fingerprint_dataset(config.source) != before


def test_two_forms_of_real_boxes_say_the_same(shared_data):
    folder = shared_data("aerial_detection/deepforest_trees")

    def edges(listing: BoxListing) -> list:
        return sorted(box.edges_px for box in listing.boxes if box.image == "OSBS_029.tif")

    table = listed_boxes(str(folder / "OSBS_029.csv"))
    assert edges(table) == edges(listed_boxes(str(folder)))
    assert len(edges(table)) == 61
