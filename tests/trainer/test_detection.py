"""Detection: boxes follow the image, anchors get their objects, and a detector finds them."""

import math
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from components.raster.errors import ConfigError, DataError
from components.raster.fitting import LEAST_BOX_SHARE, fit_boxes
from components.raster.image import ImageSpec
from serving.contract.contract import Contract, read_contract
from serving.tasks.graph import task_graph
from tests.trainer.coco import average_precision
from trainer.data.boxes import objects_in_frame
from trainer.data.examples import count_several
from trainer.losses.boxes import DetectionLoss, assign
from trainer.models.anchors import Anchors
from trainer.models.decode_boxes import DecodeBoxes, decoded
from trainer.training.config import TrainConfig
from trainer.training.export import export
from trainer.training.splits import Splits
from trainer.training.train import train

SIDE = 64
CLASSES = ("roof", "tree")
ANCHORS = Anchors(SIDE, SIDE, finest=2, levels=3, smallest_px=8.0)
DETECTOR = {
    "name": "detection",
    "max_objects": 8,
    "finest_stride_px": 4,
    "levels": 2,
    "filters": 32,
    "depth": 1,
}


@pytest.mark.parametrize("fit", ["stretch", "pad", "crop"])
def test_boxes_follow_the_image_as_they_do_in_the_evaluation(fit: str) -> None:
    rng = np.random.default_rng(7)
    spec = ImageSpec(height_px=48, width_px=64, fit=fit)
    for height, width in ((48, 64), (100, 37), (31, 200), (512, 512)):
        corners = rng.uniform(0, 1, (20, 2, 2)) * (height, width)
        edges = np.concatenate([corners.min(1), corners.max(1)], 1).astype(np.float32)
        found = objects_in_frame(
            edges[None], np.zeros((1, 20), np.int64), np.array([[height, width]]), spec
        ).numpy()[0]
        wanted, share = fit_boxes(edges, (height, width), spec)
        kept = share >= LEAST_BOX_SHARE
        np.testing.assert_array_equal(found[:, 4], np.where(kept, 0, -1))
        np.testing.assert_allclose(found[kept, :4], wanted[kept], atol=1e-3)


def iou(one: np.ndarray, other: np.ndarray) -> float:
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    shared = np.prod(np.maximum(sides, 0))
    return float(shared / (np.prod(one[2:] - one[:2]) + np.prod(other[2:] - other[:2]) - shared))


def test_anchors_stand_at_every_place_of_every_level() -> None:
    boxes = ANCHORS.boxes()
    assert len(boxes) == 9 * (16 * 16 + 8 * 8 + 4 * 4)
    sides = np.sqrt(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1))
    assert sides.min() == pytest.approx(8, abs=1)
    assert sides.max() == pytest.approx(8 * 4 * 2 ** (2 / 3), rel=0.05)


def test_each_object_has_an_anchor_and_padding_has_none() -> None:
    truth = np.full((2, 4, 5), 0, np.float32)
    truth[..., 4] = -1
    truth[0, 0] = (10, 10, 26, 26, 1)
    truth[0, 1] = (40, 40, 43, 43, 0)  # smaller than any anchor
    labels, is_object, counts, moves = (it.numpy() for it in assign(tf.constant(truth), ANCHORS))
    boxes = ANCHORS.boxes()
    overlaps = np.array([[iou(box, edges) for edges in truth[0, :2, :4]] for box in boxes])
    wanted = overlaps.max(1) >= 0.5
    wanted[overlaps.argmax(0)[0]] = True
    np.testing.assert_array_equal(
        is_object[0] & (labels[0] == 1), wanted & (overlaps.argmax(1) == 0)
    )
    assert (is_object[0] & (labels[0] == 0)).any(), "the small one has its best anchor"
    assert not is_object[1].any()
    assert counts[1].all(), "an image without objects teaches what is none"
    np.testing.assert_array_equal(counts[0], is_object[0] | (overlaps.max(1) < 0.4))
    back = decoded(tf.constant(moves), ANCHORS).numpy()
    np.testing.assert_allclose(
        back[0, labels[0] == 1][is_object[0, labels[0] == 1]][0], truth[0, 0, :4], atol=1e-3
    )


def test_the_loss_of_one_anchor_is_the_formula_s() -> None:
    truth = np.array([[[10, 10, 26, 26, 1]]], np.float32)
    _, is_object, counts, moves = (it.numpy()[0] for it in assign(tf.constant(truth), ANCHORS))
    outputs = np.zeros((1, len(moves), 6), np.float32)
    outputs[0, :, :4] = moves
    outputs[0, :, 4:] = -20.0
    outputs[0, is_object, 5] = 20.0
    loss = DetectionLoss(ANCHORS)
    assert float(loss(truth, outputs)) == pytest.approx(0, abs=1e-4)
    at = int(np.flatnonzero(is_object)[0])
    outputs[0, at, 0] += 0.5
    outputs[0, at, 5] = 0.0  # probability 1/2: focal 0.25 (1/2)^2 ln 2
    wanted = (0.5 + 0.25 * 0.25 * math.log(2)) / is_object.sum()
    assert float(loss(truth, outputs)) == pytest.approx(wanted, rel=1e-3)
    other = int(np.flatnonzero(~counts)[0])
    outputs[0, other, 4:] = 9.0
    assert float(loss(truth, outputs)) == pytest.approx(wanted, rel=1e-3), "between the bounds"


def test_of_boxes_on_one_object_the_best_stays() -> None:
    outputs = np.full((1, len(ANCHORS.boxes()), 6), -20, np.float32)
    outputs[..., :4] = 0
    boxes = ANCHORS.boxes()
    place = np.flatnonzero((boxes.sum(1) == 4 * 32) & (boxes[:, 3] - boxes[:, 1] > 16))[:2]
    outputs[0, place, 5] = (2.0, 1.0)
    outputs[0, place[1], 4] = 0.5  # the same place as another class is another object
    found = DecodeBoxes(ANCHORS, 5, 0.05, 0.5)(tf.constant(outputs))
    labels = found["labels"].numpy()[0].tolist()
    scores = found["scores"].numpy()[0]
    assert labels[:2] == [1, 0]
    assert scores[:2] == pytest.approx(1 / (1 + np.exp([-2.0, -0.5])), rel=1e-5)
    kept = iou(boxes[place[0]], boxes[place[1]]) <= 0.5
    assert labels[2:] == ([1, -1, -1] if kept else [-1, -1, -1])
    np.testing.assert_allclose(found["boxes"][0, 0], np.clip(boxes[place[0]], 0, SIDE), atol=1e-3)


def test_objects_whose_scores_are_both_1_are_explained_by_their_own_anchors() -> None:
    outputs = np.full((1, len(ANCHORS.boxes()), 6), -20, np.float32)
    outputs[..., :4] = 0
    boxes = np.clip(ANCHORS.boxes(), 0, SIDE)
    corners = [np.abs(boxes - corner).sum(axis=1).argmin() for corner in ([0] * 4, [SIDE] * 4)]
    outputs[0, corners, 5] = (30.0, 40.0)
    found = DecodeBoxes(ANCHORS, 5, 0.05, 0.5)(tf.constant(outputs))
    assert found["scores"].numpy()[0, :3].tolist() == [1, 1, 0]
    image = ImageSpec(height_px=SIDE, width_px=SIDE)
    contract = Contract(task="detection", image=image, classes=CLASSES)
    anchors = []
    for place in range(2):
        target = tf.constant([f"#{place}"])
        chosen = task_graph("detection").explained(outputs, found, None, target, contract)
        [[_, anchor, channel]] = np.argwhere(chosen.weights.numpy())
        np.testing.assert_allclose(boxes[anchor], found["boxes"][0, place], atol=1e-3)
        assert channel == 5
        anchors.append(anchor)
    assert sorted(anchors) == sorted(corners)


def scene(rng: np.random.Generator) -> tuple[bytes, np.ndarray, np.ndarray]:
    """A green field with red squares (roofs) and dark ones (trees)."""
    pixels = rng.integers(90, 130, (SIDE, SIDE, 3)).astype(np.uint8)
    edges, labels = [], []
    for row in (4, 36):
        for column in (4, 36):
            if rng.random() < 0.25:
                continue
            side, label = int(rng.integers(10, 20)), int(rng.integers(2))
            top, left = row + int(rng.integers(6)), column + int(rng.integers(6))
            pixels[top : top + side, left : left + side] = ((220, 60, 50), (10, 60, 10))[label]
            edges.append((top, left, top + side, left + side))
            labels.append(label)
    return (
        tf.io.encode_png(pixels).numpy(),
        np.array(edges, np.float32).reshape(-1, 4),
        np.array(labels),
    )


def write_split(folder: Path, count: int, seed: int) -> list:
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    truths = []
    with tf.io.TFRecordWriter(str(folder / "data-00000-of-00001.tfrecord")) as writer:
        for _ in range(count):
            encoded, edges, labels = scene(rng)
            truths.append((encoded, edges, labels))
            writer.write(example(encoded, edges, labels).SerializeToString())
    return truths


def example(encoded: bytes, edges: np.ndarray, labels: np.ndarray) -> tf.train.Example:
    def floats(values) -> tf.train.Feature:
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))

    def integers(values) -> tf.train.Feature:
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))

    names = ("ymin", "xmin", "ymax", "xmax")
    features = {f"object/bbox/{name}": floats(edges[:, at]) for at, name in enumerate(names)}
    features |= {
        "image/encoded": tf.train.Feature(bytes_list=tf.train.BytesList(value=[encoded])),
        "image/height": integers([SIDE]),
        "image/width": integers([SIDE]),
        "object/label": integers(labels),
    }
    return tf.train.Example(features=tf.train.Features(feature=features))


def test_more_objects_than_there_is_room_for_are_reported(tmp_path: Path) -> None:
    write_split(tmp_path / "Split-train", 6, 1)
    files = [str(tmp_path / "Split-train" / "data-00000-of-00001.tfrecord")]
    with pytest.raises(
        DataError, match=r"has 4 objects, and train.task.max_objects is 2: raise it"
    ):
        count_several(files, "object/label", 2, at_most=2)


def test_a_stride_that_the_network_lacks_is_reported(tmp_path: Path) -> None:
    write_split(tmp_path / "Split-train", 4, 1)
    pattern = (str(tmp_path / "Split-train" / "*"),)
    config = TrainConfig.model_validate(
        {
            "model": {"kind": "small_cnn", "filters": [8, 8]},
            "task": {"name": "detection", "finest_stride_px": 32},
        }
    )
    with pytest.raises(ConfigError, match=r"finest_stride_px is 32, .* it has .*64 x 64"):
        train(
            Splits(pattern, pattern, CLASSES, "detection"),
            ImageSpec(height_px=SIDE, width_px=SIDE),
            config,
            str(tmp_path / "logs"),
            str(tmp_path / "checkpoints"),
        )


def precision_of(truths: list, answer: dict) -> float:
    """COCO's, of a served answer to the pictures of `write_split`."""
    columns = [answer[name].numpy() for name in ("box_labels", "boxes", "box_scores")]
    found = [
        [(label, edges, score) for label, edges, score in zip(*rows, strict=True) if label >= 0]
        for rows in zip(*columns, strict=True)
    ]
    known = [list(zip(labels, edges, strict=True)) for _, edges, labels in truths]
    return average_precision(known, found)


@pytest.mark.slow
def test_a_detector_learns_a_few_pictures_by_heart(tmp_path: Path) -> None:
    """Faults of anchors, loss or decoding show here first."""
    truths = write_split(tmp_path / "Split-train", 8, 1)
    pattern = (str(tmp_path / "Split-train" / "*"),)
    config = TrainConfig.model_validate(
        {
            "model": {"kind": "small_cnn", "filters": [8, 16, 16], "dropout": 0, "augment": False},
            "task": {**DETECTOR, "filters": 16},
            # A hundred steps, of which two end with an evaluation and a checkpoint.
            "epochs": 2,
            "steps_per_epoch": 50,
            "batch_size": 4,
            "learning_rate": 4e-3,
            "early_stopping": None,
        }
    )
    trained = train(
        Splits(pattern, pattern, CLASSES, "detection"),
        ImageSpec(height_px=SIDE, width_px=SIDE),
        config,
        str(tmp_path / "logs"),
        str(tmp_path / "checkpoints"),
    )
    export(trained.model, trained.contract, str(tmp_path / "model"))
    assert read_contract(tmp_path / "model").task == "detection"
    served = tf.saved_model.load(str(tmp_path / "model")).signatures
    answer = served["serving_default"](tf.constant([encoded for encoded, _, _ in truths]))
    serialized = [example(*truth).SerializeToString() for truth in truths]
    again = served["serving_examples"](tf.constant(serialized))
    np.testing.assert_array_equal(answer["boxes"], again["boxes"])
    assert answer["boxes"].shape == (len(truths), 8, 4)
    named = set(answer["box_classes"].numpy().ravel())
    assert {b"roof", b"tree"} <= named <= {b"", b"roof", b"tree"}
    assert precision_of(truths, answer) > 0.95
