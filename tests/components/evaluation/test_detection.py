"""The metrics of boxes, against pycocotools and answers worked out by hand."""

import contextlib
import io
import math
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from components.evaluation.tasks.base import Frame
from components.evaluation.tasks.detection import Detection, Tally
from components.evaluation.tasks.matching import match
from components.raster.image import ImageSpec
from tests.components.evaluation.merging import interval_of, same_however_merged

FAMILY = Detection()
CLASSES = ("car", "house", "ship")
K = 4  # and the unknown class
SIDE = 128
EDGES = ("ymin", "xmin", "ymax", "xmax")

Scene = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def frame(classes: tuple[str, ...] = CLASSES, **image: Any) -> Frame:
    spec = ImageSpec(**{"height_px": SIDE, "width_px": SIDE, **image})
    return Frame((*CLASSES, "(unknown)"), classes, CLASSES, spec, 0.5)


def boxes(rng: np.random.Generator, count: int) -> np.ndarray:
    corner = rng.uniform(0, SIDE - 45, (count, 2))
    return np.hstack([corner, corner + rng.uniform(8, 44, (count, 2))]).astype(np.float32)


def scenes(count: int = 30) -> list[Scene]:
    """True boxes and classes; found boxes, classes and scores. Ships are found, but never true."""
    rng = np.random.default_rng(0)
    made = []
    for _ in range(count):
        true = boxes(rng, rng.integers(0, 7))
        classes = rng.integers(0, 2, len(true))
        near = true + rng.normal(0, 2.0, true.shape).astype(np.float32)
        again = true + rng.normal(0, 5.0, true.shape).astype(np.float32)
        stray = boxes(rng, rng.integers(0, 8))
        found = np.vstack([near, again, stray])
        found[:, 2:] = np.maximum(found[:, 2:], found[:, :2] + 1)  # no box is inside out
        labels = np.concatenate([classes, classes, rng.integers(0, 3, len(stray))])
        changed = rng.random(len(labels)) < 0.1
        labels = np.where(changed, rng.integers(0, 3, len(labels)), labels)
        made.append((true, classes, found, labels, rng.random(len(labels)).astype(np.float32)))
    return made


def features(true: np.ndarray, classes: np.ndarray, size: tuple[int, int] = (SIDE, SIDE)) -> Any:
    edges = {f"object/bbox/{name}": true[:, at].tolist() for at, name in enumerate(EDGES)}
    names = [CLASSES[at].encode() for at in classes]
    height, width = size
    return {
        **edges,
        "object/label/text": names,
        "image/height": [height],
        "image/width": [width],
    }


def answer(found: np.ndarray, labels: np.ndarray, scores: np.ndarray) -> Any:
    """As a model answers: padded with the label -1."""
    padded = np.full(len(labels) + 3, -1, np.int32)
    padded[: len(labels)] = labels
    return {
        "boxes": np.vstack([found.reshape(-1, 4), np.zeros((3, 4), np.float32)]),
        "box_labels": padded,
        "box_scores": np.concatenate([scores, np.zeros(3, np.float32)]).astype(np.float32),
    }


def observations(made: list[Scene]) -> list[Any]:
    return [
        (*FAMILY.observe(features(true, classes), answer(*found), frame()), seed)
        for seed, (true, classes, *found) in enumerate(made)
    ]


def tally_of(observed: list[Any]) -> Tally:
    tally = FAMILY.empty(K)
    for observation in observed:
        FAMILY.add(tally, *observation)
    return tally


def coco_of(made: list[Scene]) -> COCOeval:
    """The same boxes as pycocotools wants them (x, y, width, height), evaluated by it."""

    def entry(number: int, image: int, box: np.ndarray, label: int) -> dict[str, Any]:
        top, left, bottom, right = map(float, box)
        return {
            "id": number,
            "image_id": image,
            "category_id": int(label),
            "bbox": [left, top, right - left, bottom - top],
            "area": (right - left) * (bottom - top),
            "iscrowd": 0,
        }

    true = [
        entry(0, image, box, label)
        for image, (found, labels, *_) in enumerate(made)
        for box, label in zip(found, labels, strict=True)
    ]
    found = [
        entry(0, image, box, label) | {"score": float(score)}
        for image, (_, _, edges, labels, scores) in enumerate(made)
        for box, label, score in zip(edges, labels, scores, strict=True)
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "info": {},
            "images": [{"id": at} for at in range(len(made))],
            "categories": [{"id": at} for at in range(3)],
            "annotations": [{**it, "id": at + 1} for at, it in enumerate(true)],
        }
        truth.createIndex()
        judged = COCOeval(truth, truth.loadRes(found), "bbox")
        judged.evaluate()
        judged.accumulate()
        judged.summarize()
    return judged


def test_scores_are_those_of_pycocotools() -> None:
    made = scenes()
    tally = tally_of(observations(made))
    overall, per_class = FAMILY.overall(tally), FAMILY.per_class(tally)
    judged = coco_of(made)
    assert 0.2 < judged.stats[0] < judged.stats[1] < 0.9, "the example tells something"
    assert overall["mean_average_precision"] == pytest.approx(judged.stats[0], abs=1e-6)
    assert overall["mean_average_precision_50"] == pytest.approx(judged.stats[1], abs=1e-6)
    assert overall["recall_at_100"] == pytest.approx(judged.stats[8], abs=1e-6)
    precision = judged.eval["precision"][:, :, :, 0, 2]  # overlap, recall, class
    for label in (0, 1):
        assert per_class["average_precision"][label] == pytest.approx(precision[..., label].mean())
        assert per_class["average_precision_50"][label] == pytest.approx(
            precision[0, :, label].mean()
        )
    assert math.isnan(per_class["average_precision"][2]), "no ship is true"


def test_precision_and_recall_at_the_score_threshold_worked_out_by_hand() -> None:
    """Two cars: one found at 0.9 and once more at 0.8, one at 0.4, under the threshold of 0.5."""
    true = np.array([[0, 0, 20, 20], [50, 50, 80, 80]], np.float32)
    found = np.array([[0, 0, 20, 19], [1, 0, 20, 20], [50, 50, 80, 80]], np.float32)
    scores = np.array([0.9, 0.8, 0.4])
    observed = (
        *FAMILY.observe(
            features(true, np.array([0, 0])), answer(found, np.zeros(3), scores), frame()
        ),
        0,
    )
    tally = tally_of([observed])
    per_class, overall = FAMILY.per_class(tally), FAMILY.overall(tally)
    assert (per_class["precision"][0], per_class["recall"][0], per_class["f1"][0]) == (0.5,) * 3
    assert overall["micro_f1"] == 0.5
    assert overall["recall_at_100"] == 1.0
    # Right at ranks 1 and 3: precision 1 up to a recall of one half (51 of 101), then 2/3.
    assert overall["mean_average_precision_50"] == pytest.approx((51 + 50 * 2 / 3) / 101)


def test_only_the_best_hundred_of_a_class_and_image_count() -> None:
    true = np.array([[0, 0, 20, 20]], np.float32)
    found = np.repeat(np.array([[60, 60, 90, 90]], np.float32), 101, axis=0)
    found[100] = true[0]
    scores = np.linspace(0.9, 0.1, 101)
    observed = (
        *FAMILY.observe(
            features(true, np.array([0])), answer(found, np.zeros(101), scores), frame()
        ),
        0,
    )
    assert FAMILY.overall(tally_of([observed]))["recall_at_100"] == 0


def test_an_object_is_found_once() -> None:
    true = np.array([[0.0, 0, 10, 10]])
    found = np.array([[0.0, 0, 10, 9], [0, 0, 10, 10]])
    assert match(found, true)[:, 0].tolist() == [True, False]
    assert match(found, true)[:, -1].tolist() == [False, True], "0.9 is not an overlap of 0.95"


def test_boxes_of_a_tile_of_another_shape_meet_the_answer_on_the_model_s_image() -> None:
    """A tile of 64 x 128 padded into 128 x 128 moves by 32 rows."""
    true = np.array([[10, 10, 30, 40]], np.float32)
    observed = (
        *FAMILY.observe(
            features(true, np.array([1]), (64, 128)),
            answer(true + np.float32([32, 0, 32, 0]), np.array([1]), np.array([0.9])),
            frame(fit="pad"),
        ),
        0,
    )
    assert FAMILY.overall(tally_of([observed]))["mean_average_precision"] == pytest.approx(1)


def test_a_model_with_its_classes_in_another_order_is_read_by_name() -> None:
    made = scenes(8)
    again = [
        (
            *FAMILY.observe(
                features(true, classes), answer(found, 2 - labels, scores), frame(CLASSES[::-1])
            ),
            seed,
        )
        for seed, (true, classes, found, labels, scores) in enumerate(made)
    ]
    expected = FAMILY.overall(tally_of(observations(made)))
    assert FAMILY.overall(tally_of(again)) == pytest.approx(expected, nan_ok=True)


def test_merging_in_any_order_gives_what_counting_together_gives() -> None:
    made = scenes(14)
    for _, _, _, _, scores in made[::2]:
        scores[:] = 0.7  # equal scores, also between images
    same_however_merged(FAMILY, observations(made), K)


def test_images_without_objects_count_and_those_without_truth_do_not() -> None:
    made = scenes(4)
    nothing = np.zeros((0, 4), np.float32), np.zeros(0, int)
    stray = answer(np.array([[0, 0, 9, 9]], np.float32), np.array([0]), np.array([0.99]))
    before = tally_of(observations(made))
    empty = (*FAMILY.observe(features(*nothing), stray, frame()), 91)
    unlabelled = (*FAMILY.observe({"image/height": [8], "image/width": [8]}, stray, frame()), 92)
    with_empty = tally_of([*observations(made), empty])
    with_unlabelled = tally_of([*observations(made), unlabelled])
    names = ("mean_average_precision", "examples_without_truth")
    assert [FAMILY.overall(with_unlabelled)[name] for name in names] == [
        FAMILY.overall(before)[names[0]],
        1,
    ]
    assert FAMILY.overall(with_empty)[names[0]] < FAMILY.overall(before)[names[0]]
    assert FAMILY.overall(with_empty)["examples_without_truth"] == 0


def test_boxes_and_scores_that_are_not_finite_are_reported_and_found_nothing() -> None:
    true = np.array([[0, 0, 20, 20]], np.float32)
    broken = np.array([np.nan])
    observed = (
        *FAMILY.observe(
            features(true, np.array([0])), answer(true, np.array([0]), broken), frame()
        ),
        0,
    )
    overall = FAMILY.overall(tally_of([observed]))
    assert (overall["non_finite_count"], overall["recall_at_100"]) == (1, 0)


def test_nothing_counted_is_nan_not_zero() -> None:
    overall = FAMILY.overall(FAMILY.empty(K))
    assert math.isnan(overall["mean_average_precision"])
    assert overall["object_count"] == 0


def test_the_interval_holds_the_metric_and_is_the_same_each_time() -> None:
    observed = observations(scenes(40))
    overall = FAMILY.overall(tally_of(observed))
    found = interval_of(FAMILY, tally_of(observed))
    assert found is not None
    assert found[0] < overall["mean_average_precision"] < found[1]
    assert interval_of(FAMILY, tally_of(observed[::-1])) == pytest.approx(found)
    assert interval_of(FAMILY, tally_of(observed[:9])) is None
