"""Pictures with every kind of truth, and their examples as ingest writes them."""

import csv
import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image

from components.ingest.config import IngestConfig
from components.ingest.records.outcome import Converted
from components.ingest.sources import family_of, list_source

SIDE_PX = 32
COUNT = 30
SPLITS = ("train", "train", "train", "eval", "test")
LEGEND = {"values": {0: "soil", 1: "field", 2: "water"}}
#: Columns of the manifest with each task's truth.
COLUMNS = {
    "single_label": {"label": "kind"},
    "multi_label": {"labels": "covers", "empty_labels": "no_class"},
    "regression": {"number": "wetness"},
    "segmentation": {"mask": "mask"},
}
_COLOURS = np.array([(150, 110, 80), (60, 160, 60), (40, 60, 180)])


def write_pictures(folder: Path) -> Path:
    """Writes pictures of soil with a field, a lake, both or none, masks and a manifest."""
    random = np.random.default_rng(4)
    rows = []
    for number in range(COUNT):
        mask = np.zeros((SIDE_PX, SIDE_PX), np.uint8)
        field, lake = number % 4 in (1, 2), number % 4 in (2, 3)
        if field:
            mask[: random.integers(8, 17)] = 1
        if lake:
            mask[:, : random.integers(8, 17)] = 2
        pixels = _COLOURS[mask] + random.normal(0, 12, (SIDE_PX, SIDE_PX, 3))
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{number:02d}.png")
        mask[:2, -2:] = 9  # a value that the legend lacks
        Image.fromarray(mask).save(folder / f"{number:02d}_mask.png")
        covers = [name for name, there in (("field", field), ("water", lake)) if there]
        rows.append(
            {
                "uri": f"{number:02d}.png",
                "kind": "wet" if lake else "dry",
                "covers": "|".join(covers),
                "wetness": 100 * float((mask == 2).mean()),
                "mask": f"{number:02d}_mask.png",
                "split": SPLITS[number % len(SPLITS)],
            }
        )
    with (folder / "images.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder / "images.csv"


def ingest_config(manifest: Path, task: str) -> IngestConfig:
    """The configuration that reads the truth of a task."""
    if task == "detection":
        return _houses_config(manifest.parent)
    masks = {"legend": LEGEND, "undeclared": "ignore"} if task == "segmentation" else {}
    return IngestConfig.model_validate(
        {
            "source": {
                "kind": "manifest",
                "uri": str(manifest),
                "columns": {"split": "split", **COLUMNS[task]},
                **masks,
            },
            "image": {"height_px": SIDE_PX, "width_px": SIDE_PX},
        }
    )


def _houses_config(folder: Path) -> IngestConfig:
    return IngestConfig.model_validate(
        {
            "source": {
                "kind": "boxed",
                "uri": str(folder / "houses"),
                "boxes": {"path": str(folder / "houses.json")},
            },
            "image": {"height_px": SIDE_PX, "width_px": SIDE_PX},
            "split": {"train": 0.6, "eval": 0.2, "test": 0.2},
        }
    )


def write_examples(config: IngestConfig, root: Path) -> tuple[str, ...]:
    """Writes an Examples artifact's folder; returns the class names."""
    listing = list_source(config)
    by_split = defaultdict(list)
    family = family_of(config.source)
    [line] = family.lines(listing, 1)
    for outcome in family.converter(config, listing.classes)(line):
        assert isinstance(outcome, Converted), outcome
        by_split[outcome.split].append(outcome.example)
    _write_splits(by_split, listing.classes, root)
    return listing.classes


def write_houses(folder: Path) -> None:
    """Writes pictures of a meadow with a house or two, and their boxes as a COCO file."""
    random = np.random.default_rng(6)
    (folder / "houses").mkdir()
    images, boxes = [], []
    for number in range(COUNT):
        pixels = random.normal(_COLOURS[1], 12, (SIDE_PX, SIDE_PX, 3))
        images.append({"id": number, "file_name": f"{number:02d}.png"})
        for left in (2, 18)[: 1 + number % 2]:
            top = int(random.integers(2, 18))
            pixels[top : top + 12, left : left + 12] = (220, 60, 40)
            box = {"bbox": [left, top, 12, 12], "category_id": 1, "image_id": number}
            boxes.append({"id": len(boxes) + 1, **box})
        picture = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
        picture.save(folder / "houses" / images[-1]["file_name"])
    tree = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "house"}]}
    (folder / "houses.json").write_text(json.dumps(tree))


def _write_splits(by_split: dict[str, list[bytes]], classes: tuple[str, ...], root: Path) -> None:
    for split, examples in by_split.items():
        folder = root / f"Split-{split}"
        folder.mkdir(parents=True)
        with tf.io.TFRecordWriter(str(folder / "data-00000-of-00001.tfrecord")) as writer:
            for example in examples:
                writer.write(example)
    (root / "classes.json").write_text(json.dumps(classes))
