"""Metrics of detection: objects as boxes with classes.

Definitions, after COCO (see `matching`), over all images of a slice:

- average_precision_50, average_precision of a class: at an overlap (IoU) of 0.5, and the mean over
  0.50, 0.55, ... 0.95. mean_average_precision_50, mean_average_precision: the means over the
  classes that have an object in the slice.
- recall_at_100: the share of objects found by the best 100 detections of each class and image, mean
  over the same overlaps and classes.
- precision, recall, f1 of a class: of the detections with at least `evaluation.score_threshold`, at
  an overlap of 0.5; macro_* is their mean over the classes that have an object, micro_* counts all
  detections together.

Every detection keeps a row of 17 bytes until the slice is complete, up to 100 for each class and
image. Intervals are those of a bootstrap over images; beyond MOST_REPLICATED detections in a slice,
average precisions have none, because they would cost too much.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from components.evaluation.tasks import bootstrap
from components.evaluation.tasks.base import (
    AnswerRow,
    Details,
    EvaluatedTask,
    Features,
    FirstThreshold,
    Frame,
    Judged,
    Observation,
    Replicated,
    Scored,
    joined,
    text_of,
)
from components.evaluation.tasks.bootstrap import Units
from components.evaluation.tasks.class_counts import ClassCounts
from components.evaluation.tasks.matching import (
    IOU_THRESHOLDS,
    MAX_DETECTIONS,
    average_precision,
    match,
)
from components.evaluation.tasks.measures import (
    NON_FINITE,
    SUPPORT,
    WITHOUT_TRUTH,
    Floats,
    averaged,
    mean_known,
    precision_recall_f1,
)
from components.raster.example import BOX_EDGES, HEIGHT, OBJECT_LABEL_TEXT, WIDTH
from components.raster.fitting import LEAST_BOX_SHARE, fit_boxes
from serving.tasks.detection.answer import BOX_LABELS_OUTPUT, BOX_SCORES_OUTPUT, BOXES_OUTPUT

MOST_REPLICATED = 50_000

_DETECTION = np.dtype(
    [
        ("label", np.uint16),
        ("score", np.float32),
        ("sure", bool),  # whether the score reaches the configured threshold
        ("right", bool, (len(IOU_THRESHOLDS),)),
    ]
)
Rows = npt.NDArray[Any]


@dataclass
class Tally:
    """Counts for K classes: each list has an entry for each image with truth."""

    class_count: int
    detections: list[Rows] = field(default_factory=list)  # of _DETECTION, each [N]
    objects: list[Floats] = field(default_factory=list)  # each [K]
    seeds: list[int] = field(default_factory=list)
    classes: ClassCounts = field(default_factory=ClassCounts)
    examples: int = 0
    non_finite: float = 0.0

    def merge(self, others: Iterable["Tally"]) -> "Tally":
        """Adds the other tallies' counts, and returns self."""
        for other in others:
            self.detections += other.detections
            self.objects += other.objects
            self.seeds += other.seeds
            self.classes += other.classes
            self.examples += other.examples
            self.non_finite += other.non_finite
        return self

    def ranked(self) -> tuple[Rows, npt.NDArray[np.int64]]:
        """Returns all detections in falling order of score, and the image of each.

        Equal scores are ordered by the images' seeds, and within a group the right ones come first,
        so the result does not depend on the order of merging.
        """
        images = np.repeat(np.arange(len(self.seeds)), [len(rows) for rows in self.detections])
        rows = np.concatenate([np.zeros(0, _DETECTION), *self.detections])
        right = rows["right"] @ (1 << np.arange(len(IOU_THRESHOLDS)))
        order = np.lexsort((-right, np.array(self.seeds, np.int64)[images], -rows["score"]))
        return rows[order], images[order]

    def objects_by_image(self) -> Floats:
        """Object counts: [images, K]."""
        return np.array(self.objects).reshape(-1, self.class_count)


def class_precisions(tally: Tally) -> tuple[Floats, Floats]:
    """Returns average precision and recall, each [K, T]; NaN for a class without an object."""
    rows, _ = tally.ranked()
    counts = tally.objects_by_image().sum(axis=0)
    precisions = np.full((tally.class_count, len(IOU_THRESHOLDS)), np.nan)
    recalls = precisions.copy()
    for label in np.flatnonzero(counts):
        right = rows["right"][rows["label"] == label]
        precisions[label] = average_precision(right, counts[label])
        recalls[label] = right.sum(axis=0) / counts[label]
    return precisions, recalls


def replicated_precisions(tally: Tally) -> Floats:
    """Computes the average precisions of each replicate: [REPLICATES, K, T]; NaN as above."""
    rows, images = tally.ranked()
    weights = np.array([bootstrap.weights(seed) for seed in tally.seeds])
    objects = tally.objects_by_image().T @ weights
    members = [np.flatnonzero(rows["label"] == label) for label in range(tally.class_count)]
    precisions = np.full((bootstrap.REPLICATES, tally.class_count, len(IOU_THRESHOLDS)), np.nan)
    for replicate in range(bootstrap.REPLICATES):
        often = weights[images, replicate]
        for label in np.flatnonzero(objects[:, replicate]):
            of, count = members[label], objects[label, replicate]
            precisions[replicate, label] = average_precision(rows["right"][of], count, often[of])
    return precisions


class Detection(EvaluatedTask[Tally]):
    """Detection: objects as boxes with classes."""

    task = "detection"
    outputs = (BOXES_OUTPUT, BOX_LABELS_OUTPUT, BOX_SCORES_OUTPUT)
    truth = (OBJECT_LABEL_TEXT, *BOX_EDGES, HEIGHT, WIDTH)
    overall_metrics = (
        "mean_average_precision",
        "mean_average_precision_50",
        "recall_at_100",
        "macro_precision",
        "macro_recall",
        "macro_f1",
        "micro_precision",
        "micro_recall",
        "micro_f1",
        "object_count",
        WITHOUT_TRUTH,
    )
    class_metrics = (
        "average_precision",
        "average_precision_50",
        "precision",
        "recall",
        "f1",
    )
    title = "mAP"
    headline = "mean_average_precision"
    columns = {"at 0.5": "mean_average_precision_50", "macro F1": "macro_f1"}
    first_threshold = FirstThreshold("mean_average_precision_50", 0.1)
    answer_noun = "box or score"
    decision_unit = "object"
    detail_columns = {
        "given_classes": np.int32,
        "given_boxes": np.float32,
        "found_classes": np.int32,
        "found_boxes": np.float32,
        "found_scores": np.float32,
    }

    def observe(self, features: Features, answer: AnswerRow, frame: Frame) -> Observation:
        """Returns (1 if a number is not finite, objects of each class), and rows of detections."""
        found = answer[BOX_LABELS_OUTPUT] >= 0
        edges, scores = answer[BOXES_OUTPUT][found], answer[BOX_SCORES_OUTPUT][found]
        finite = np.isfinite(edges).all(axis=1) & np.isfinite(scores)
        labels = _in_space(answer[BOX_LABELS_OUTPUT][found], frame)
        head = [float(not finite.all())]
        if OBJECT_LABEL_TEXT not in features:
            return np.array(head), np.zeros(0, _DETECTION)
        boxes, classes = true_boxes(features, frame)
        rows = detect(
            labels[finite], edges[finite].astype(np.float64), scores[finite], boxes, classes
        )
        rows["sure"] = rows["score"] >= frame.score_threshold
        objects = np.bincount(classes, minlength=len(frame.space))
        return np.concatenate([head, objects]), rows

    def judged(self, features: Features, observation: Observation, frame: Frame) -> Judged:
        """Returns the classes of the objects and of the detections, and the F1 over all classes.

        Detections count from the configured score, and are right at an overlap of 0.5. An image
        without objects and detections has an F1 of 1.
        """
        head, rows = observation
        if OBJECT_LABEL_TEXT not in features:
            return Judged()
        sure = rows[rows["sure"]]
        objects, found = float(head[1:].sum()), len(sure)
        right = float(sure["right"][:, 0].sum())
        return Judged(
            joined(map(text_of, features[OBJECT_LABEL_TEXT])),
            joined(np.array(frame.space)[sure["label"]].tolist()),
            float(sure["score"].mean()) if found else None,
            2 * right / (objects + found) if objects + found else 1.0,
        )

    def details(self, features: Features, answer: AnswerRow, frame: Frame) -> Details | None:
        """Returns the objects, and the detections with finite numbers; boxes as one flat list."""
        if (pair := self.pair(features, answer, frame)) is None:
            return None
        given, found = pair
        finite = np.isfinite(found["boxes"]).all(axis=1) & np.isfinite(found["scores"])
        return {
            "given_classes": given["classes"].tolist(),
            "given_boxes": given["boxes"].ravel().tolist(),
            "found_classes": found["classes"][finite].tolist(),
            "found_boxes": found["boxes"][finite].ravel().tolist(),
            "found_scores": found["scores"][finite].tolist(),
        }

    def scored(self, details: Details, place: int, class_count: int) -> Scored:
        """Returns the detections of a class; those that overlap an object by 0.5 are right."""
        boxes, mine = _of_class(details, "found", place)
        given, _ = _of_class(details, "given", place)
        scores = np.array(details["found_scores"], np.float64)[mine]
        order = np.argsort(-scores, kind="stable")[:MAX_DETECTIONS]
        right = match(boxes[order], given)[:, 0].astype(np.float64)
        return Scored(scores[order], right, np.ones(len(order)), float(len(given)))

    def pair(
        self, features: Features, answer: AnswerRow, frame: Frame
    ) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """Returns the true boxes [M, 4] and their places [M]; and the found ones, with scores."""
        if OBJECT_LABEL_TEXT not in features:
            return None
        boxes, classes = true_boxes(features, frame)
        found = answer[BOX_LABELS_OUTPUT] >= 0
        return {"boxes": boxes, "classes": classes}, {
            "boxes": answer[BOXES_OUTPUT][found],
            "classes": _in_space(answer[BOX_LABELS_OUTPUT][found], frame),
            "scores": answer[BOX_SCORES_OUTPUT][found],
        }

    def empty(self, class_count: int) -> Tally:
        return Tally(class_count)

    def add(
        self, tally: Tally, labels: npt.NDArray[Any], predictions: npt.NDArray[Any], seed: int
    ) -> None:
        non_finite, objects = labels[0], labels[1:]
        tally.examples += 1
        tally.non_finite += non_finite
        if objects.size:
            tally.objects.append(objects)
            tally.detections.append(predictions)
            tally.seeds.append(seed)
            found, right = _sure_and_right(predictions, tally.class_count)
            tally.classes.add(np.stack((right, found, objects)), seed)

    def overall(self, tally: Tally) -> dict[str, float]:
        precisions, recalls = class_precisions(tally)
        return {
            "mean_average_precision": mean_known(precisions),
            "mean_average_precision_50": mean_known(precisions[:, 0]),
            "recall_at_100": mean_known(recalls),
            **averaged(*_right_found_true(tally)),
            "object_count": float(tally.objects_by_image().sum()),
            NON_FINITE: tally.non_finite,
            WITHOUT_TRUTH: tally.examples - len(tally.objects),
        }

    def units(self, tally: Tally) -> Units:
        return Units.of(tally.seeds)

    def replicated(self, tally: Tally) -> Replicated:
        """Average precisions are NaN for few images and beyond MOST_REPLICATED detections."""
        of_classes = tally.classes.intervals(self.class_metrics, tally.class_count)
        detections = sum(len(rows) for rows in tally.detections)
        if len(tally.seeds) < bootstrap.FEWEST_UNITS or detections > MOST_REPLICATED:
            return Replicated(np.full(bootstrap.REPLICATES, np.nan), of_classes)
        precisions = replicated_precisions(tally)
        over_overlaps = precisions.mean(axis=2)
        of_classes["average_precision"] = _intervals(over_overlaps, tally)
        of_classes["average_precision_50"] = _intervals(precisions[..., 0], tally)
        return Replicated(np.array([mean_known(it) for it in over_overlaps]), of_classes)

    def per_class(self, tally: Tally) -> dict[str, Floats]:
        precisions, _ = class_precisions(tally)
        return {
            SUPPORT: (tally.objects_by_image() > 0).sum(axis=0).astype(np.float64),
            "average_precision": precisions.mean(axis=1),
            "average_precision_50": precisions[:, 0],
            **precision_recall_f1(*_right_found_true(tally)),
        }


def true_boxes(features: Features, frame: Frame) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Returns the objects on the model's image: boxes (M, 4) in pixels, places in the space (M,).

    An object is left out if less than LEAST_BOX_SHARE of it remains after the fit.
    """
    edges = np.array([features.get(name, ()) for name in BOX_EDGES], np.float64).T.reshape(-1, 4)
    height, width = (int(features[name][0]) for name in (HEIGHT, WIDTH))
    fitted, share = fit_boxes(edges, (height, width), frame.image)
    kept = share >= LEAST_BOX_SHARE
    return fitted[kept].astype(np.float64), frame.indices(features[OBJECT_LABEL_TEXT])[kept]


def _of_class(details: Details, side: Literal["given", "found"], place: int) -> tuple[Floats, Any]:
    """Returns the boxes (N, 4) of a class in an example's details, and a mask of their places."""
    mine = np.array(details[f"{side}_classes"], np.int64) == place
    return np.array(details[f"{side}_boxes"], np.float64).reshape(-1, 4)[mine], mine


def detect(
    labels: npt.NDArray[np.int64],
    edges: Floats,
    scores: npt.NDArray[np.floating],
    boxes: Floats,
    classes: npt.NDArray[np.int64],
) -> Rows:
    """Matches an image's detections (N,), (N, 4), (N,) to objects (M, 4), (M,); returns rows."""
    kept = []
    for label in np.unique(labels):
        mine = np.flatnonzero(labels == label)
        mine = mine[np.argsort(-scores[mine], kind="stable")][:MAX_DETECTIONS]
        rows = np.zeros(len(mine), _DETECTION)
        rows["label"], rows["score"] = label, scores[mine]
        rows["right"] = match(edges[mine], boxes[classes == label])
        kept.append(rows)
    return np.concatenate([np.zeros(0, _DETECTION), *kept])


def _in_space(labels: npt.NDArray[np.integer], frame: Frame) -> npt.NDArray[np.int64]:
    """Converts class indices to places in the space; unknown if beyond the model's classes."""
    places = np.append(frame.of_model, frame.unknown)
    return places[np.minimum(labels, len(frame.classes))]


def _right_found_true(tally: Tally) -> tuple[Floats, Floats, Floats]:
    """Counts right, found and true objects, each [K], at the score threshold and first overlap."""
    rows, _ = tally.ranked()
    found, right = _sure_and_right(rows, tally.class_count)
    return right, found, tally.objects_by_image().sum(axis=0)


def _sure_and_right(rows: Rows, class_count: int) -> tuple[Floats, Floats]:
    """Counts detections that reach the score threshold, and the right ones of these, each [K]."""
    sure = rows[rows["sure"]]
    found, right = (
        np.bincount(of["label"], minlength=class_count).astype(np.float64)
        for of in (sure, sure[sure["right"][:, 0]])
    )
    return found, right


def _intervals(replicated: Floats, tally: Tally) -> Floats:
    """Returns the interval of each class [K, 2] from its replicates [REPLICATES, K].

    The units of a class are the images, or groups, that have an object of it.
    """
    has_object, seeds = tally.objects_by_image() > 0, np.array(tally.seeds)
    found = [
        bootstrap.interval(values, Units.of(seeds[has].tolist()))
        for values, has in zip(replicated.T, has_object.T, strict=True)
    ]
    return np.array(found).reshape(-1, 2)


TASK = Detection()
