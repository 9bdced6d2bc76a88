"""Masks and boxes from ingest's tiles to the metrics of models with the served signatures.

Roofs are bright and the ground is dark, and the models say just that: everything must be right.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
import shapely.geometry
import tensorflow as tf

from components.raster.image import ImageSpec
from components.raster.task import Task
from serving.contract.contract import Contract
from serving.graph.signatures import signatures
from tests.components.evaluation.node import Node
from tests.components.ingest_geo.conftest import SPLITS
from tests.components.models import write_contract

#: Left, top, right, bottom in pixels; each lies in one tile of 32 pixels, the last at the edge.
ROOFS = [(4, 6, 20, 12), (40, 8, 60, 30), (70, 3, 80, 31), (2, 34, 30, 60), (36, 40, 50, 50)]
CLASSES = ("ground", "roof")


def bright(pixels: tf.Tensor) -> tf.Tensor:
    return pixels[..., 0] >= 150.0


def pixel_logits(pixels: tf.Tensor) -> tf.Tensor:
    return tf.one_hot(tf.cast(bright(pixels), tf.int32), 2) * 8.0


def one_box(pixels: tf.Tensor) -> dict[str, tf.Tensor]:
    """The rows and columns from the first bright pixel to the last."""
    inside = bright(pixels)
    edges = []
    for axis in (2, 1):  # any bright pixel in a row, then in a column
        line = tf.reduce_any(inside, axis=axis)
        size = tf.shape(line)[1]
        edges += [tf.argmax(line, axis=1, output_type=tf.int32)]
        edges += [size - tf.argmax(line[:, ::-1], axis=1, output_type=tf.int32)]
    top, bottom, left, right = edges
    found = tf.reduce_any(inside, axis=(1, 2))
    return {
        "boxes": tf.cast(tf.stack([top, left, bottom, right], axis=1), tf.float32)[:, tf.newaxis],
        "labels": tf.where(found, 1, -1)[:, tf.newaxis],
        "scores": tf.fill([tf.shape(found)[0], 1], 0.9),
    }


def save(folder: Path, task: Task, model: Any, side_px: int) -> Path:
    spec = ImageSpec(height_px=side_px, width_px=side_px, bands=("red",))
    contract = Contract(task=task, image=spec, classes=CLASSES)
    found = {it.name: it for it in signatures(model, contract)}
    functions = {
        name: tf.function(it.function, input_signature=it.inputs, autograph=False)
        for name, it in found.items()
    }
    target = folder / "Format-Serving"
    module = tf.Module()
    tf.saved_model.save(module, str(target), signatures=functions)
    write_contract(target, contract)
    return folder


@pytest.fixture
def labels(tmp_path: Path) -> str:
    features = [
        {
            "type": "Feature",
            "properties": {},
            "geometry": shapely.geometry.mapping(
                shapely.box(
                    500_000 + 10 * left,
                    5_300_000 - 10 * bottom,
                    500_000 + 10 * right,
                    5_300_000 - 10 * top,
                )
            ),
        }
        for left, top, right, bottom in ROOFS
    ]
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32632"}}
    path = tmp_path / "labels.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "crs": crs, "features": features}))
    return str(path)


@pytest.fixture
def scene(write_raster: Any, tmp_path: Path) -> str:
    """64 x 100 pixels: eight tiles, of which two are mostly beyond the scene."""
    rows, columns = np.indices((64, 100))
    pixels = (100 + rows // 32 + columns // 32)[..., np.newaxis].astype(np.uint16)  # no copies
    for left, top, right, bottom in ROOFS:
        pixels[top:bottom, left:right] = 200
    return str(write_raster(pixels, str(tmp_path / "scenes" / "town.tif"), descriptions=("red",)))


def examples_of(run: Any, scene: str, labels: str, target: dict[str, Any]) -> list[bytes]:
    shapes = {"kind": "shapes", "path": labels, "class_name": "roof"}
    source = {"kind": "scenes", "uri": scene, "tiling": {"size_px": 32}}
    outcome = run(
        {
            "source": source | {"labels": shapes, "target": target},
            "image": {"bands": ["red"]},
            "split_by": {"by": "tile", "insist": True},
            "classes": list(CLASSES),
        }
    )
    return [it.SerializeToString() for split in SPLITS for it in outcome.examples(split)]


@pytest.mark.slow
@pytest.mark.parametrize("side_px", [32, 64])
def test_masks_of_a_scene_are_what_a_right_model_answers(
    run: Any, scene: str, labels: str, tmp_path: Path, side_px: int
) -> None:
    examples = examples_of(run, scene, labels, {"to": "mask", "background": "ground"})
    node = Node(tmp_path / "node", examples)
    evaluation, report, _ = node.run(
        save(tmp_path / "model", "segmentation", pixel_logits, side_px),
        thresholds=[{"metric": "iou/*", "at_least": 1}],
    )
    assert report.passed, report.failed
    overall = evaluation.overall
    assert overall is not None
    assert overall.examples == 8
    scale = (side_px // 32) ** 2
    assert overall.candidate["pixel_count"] == pytest.approx(64 * 100 * scale, rel=0.02)
    roofs = sum((right - left) * (bottom - top) for left, top, right, bottom in ROOFS)
    assert evaluation.confusion[1][1] == roofs * scale
    assert overall.candidate["support/roof"] == len(ROOFS)


@pytest.mark.slow
@pytest.mark.parametrize("side_px", [32, 64])
def test_boxes_of_a_scene_are_what_a_right_model_answers(
    run: Any, scene: str, labels: str, tmp_path: Path, side_px: int
) -> None:
    examples = examples_of(run, scene, labels, {"to": "boxes"})
    node = Node(tmp_path / "node", examples)
    evaluation, report, _ = node.run(
        save(tmp_path / "model", "detection", one_box, side_px),
        thresholds=[{"metric": "mean_average_precision", "at_least": 0.999}],
    )
    assert report.passed, report.failed
    overall = evaluation.overall
    assert overall is not None
    assert overall.candidate["object_count"] == len(ROOFS)
    assert overall.candidate["micro_precision"] == 1
