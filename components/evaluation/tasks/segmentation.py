"""Metrics of segmentation: a class for each pixel of an image.

Definitions, with C the confusion counts of pixels (true class in rows, predicted in columns). A
pixel counts if the truth has a class and the model has answered; the ignore value of the truth and
pixels without data are left out.

- pixel_accuracy: trace(C) over its sum. iou of a class: C[k,k] over row plus column less C[k,k].
- precision, recall, f1 (the Dice coefficient) of a class: as of images, counted in pixels.
- mean_iou, macro_*: the mean over the classes that have a true pixel in the slice.
- calibration_error: the expected calibration error of the pixels' confidence, 15 equal bins.
- unanswered_fraction: share of the pixels with a true class where the model saw no data.

The intervals of mean_iou and of the classes' metrics are those of a bootstrap over examples: pixels
of one image are not independent observations.
"""

import io
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

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
)
from components.evaluation.tasks.bootstrap import Units
from components.evaluation.tasks.calibration import (
    CALIBRATION_BINS,
    calibration_error,
    calibration_row,
)
from components.evaluation.tasks.class_counts import ClassCounts
from components.evaluation.tasks.measures import (
    NON_FINITE,
    SUPPORT,
    WITHOUT_TRUTH,
    Additive,
    Floats,
    mean_known,
    precision_recall_f1,
    ratio,
)
from components.raster.errors import DataError
from components.raster.example import MASK_ENCODED
from components.raster.fitting import fit_mask
from components.raster.labels.targets import ignore_value
from components.raster.pixel_tally import occupied, pixel_tally
from serving.tasks.segmentation.answer import CLASS_RASTER_OUTPUT, CONFIDENCE_OUTPUT
from serving.tasks.segmentation.planes import FULL, PLANES_OUTPUT, read_planes


@dataclass
class Tally(Additive):
    """Pixel counts for K classes; the last class is the unknown one."""

    confusion: Floats  # [K, K]: true class, predicted class
    bins: Floats  # [3, CALIBRATION_BINS]: pixels, their summed confidence, the right ones
    support: Floats  # [K]: examples with a true pixel of the class
    classes: ClassCounts = field(default_factory=ClassCounts)
    examples: int = 0
    with_truth: float = 0.0
    units: Units = field(default_factory=Units)  # of the examples with truth
    unanswered: float = 0.0
    non_finite: float = 0.0

    @classmethod
    def empty(cls, class_count: int) -> "Tally":
        """Returns an empty tally."""
        return cls(
            np.zeros((class_count, class_count)),
            np.zeros((3, CALIBRATION_BINS)),
            np.zeros(class_count),
        )

    def add(self, image: "ImageCounts", seed: int) -> None:
        """Counts one image."""
        self.examples += 1
        true = image.confusion.sum(axis=1) + image.unanswered
        if true.any():
            self.with_truth += 1
            self.units.add(seed)
        self.support += true > 0
        self.confusion += image.confusion
        self.bins += image.bins
        self.unanswered += float(image.unanswered.sum())
        self.non_finite += image.non_finite
        self.classes.add(np.stack(_right_predicted_true(image.confusion)), seed)


@dataclass(frozen=True)
class ImageCounts:
    """Counts of one image's pixels."""

    confusion: Floats  # [K, K]
    unanswered: Floats  # [K]: true pixels without an answer
    bins: Floats  # [3, CALIBRATION_BINS]
    non_finite: float = 0.0

    def packed(self) -> Floats:
        """Packs all fields into one row."""
        parts = (self.confusion.ravel(), self.unanswered, self.bins.ravel(), [self.non_finite])
        return np.concatenate(parts)

    @classmethod
    def unpacked(cls, row: Floats, class_count: int) -> "ImageCounts":
        """The inverse of `packed`."""
        ends = np.cumsum([class_count**2, class_count, 3 * CALIBRATION_BINS])
        confusion, unanswered, bins, non_finite = np.split(row, ends)
        square = (class_count, class_count)
        return cls(confusion.reshape(square), unanswered, bins.reshape(3, -1), float(non_finite[0]))


def count_pixels(
    true: npt.NDArray[np.integer],
    predicted: npt.NDArray[np.integer],
    confidence: npt.NDArray[np.floating],
    class_count: int,
) -> ImageCounts:
    """Counts one image from class indices [H, W]; -1 means no truth, or no answer."""
    known, answered = true >= 0, predicted >= 0
    both = known & answered
    pairs = true[both].astype(np.int64) * class_count + predicted[both]
    counts = np.bincount(pairs, minlength=class_count**2).astype(np.float64)
    missed = np.bincount(true[known & ~answered], minlength=class_count).astype(np.float64)
    sure = confidence[both].astype(np.float64)
    finite = np.isfinite(sure)
    return ImageCounts(
        counts.reshape(class_count, class_count),
        missed,
        calibration_row(sure[finite], (true == predicted)[both][finite]),
        float(not finite.all()),
    )


def decode_mask(png: bytes, class_count: int, unknown: int) -> npt.NDArray[np.int64]:
    """Decodes the truth [h, w] to class indices; -1 for none, `unknown` for indices out of range.

    Raises DataError for bytes that are not a gray image.
    """
    try:
        mask = np.asarray(Image.open(io.BytesIO(png)))
    except OSError as error:
        raise DataError(f"{MASK_ENCODED} of an example is not an image: {error}") from error
    if mask.ndim != 2:
        raise DataError(f"{MASK_ENCODED} of an example has shape {mask.shape}: it must be gray")
    ignore = 0xFF if mask.dtype == np.uint8 else 0xFFFF
    indices = mask.astype(np.int64)
    return np.where(indices == ignore, -1, np.where(indices < class_count, indices, unknown))


def true_mask(features: Features, frame: Frame) -> npt.NDArray[np.int64]:
    """Returns the truth [H, W] on the model's image, as places in the space; -1 for none."""
    true = np.full(frame.image.shape[:2], -1)
    for png in features.get(MASK_ENCODED, ()):
        assert isinstance(png, bytes)
        mask = decode_mask(png, len(frame.truth_classes), frame.unknown)
        true = fit_mask(mask, frame.image, fill=-1)
    return true


def in_space(raster: npt.NDArray[np.integer], frame: Frame) -> npt.NDArray[np.int64]:
    """Converts a model's raster [H, W] to places in the space; -1 where the model saw no data."""
    ignore = ignore_value(len(frame.classes))
    places = np.full(ignore + 2, frame.unknown)
    places[: len(frame.classes)] = frame.of_model
    places[ignore] = -1
    return places[np.clip(raster.astype(np.int64), 0, ignore + 1)]


def _levels(
    true: npt.NDArray[np.int64],
    answered: npt.NDArray[np.bool_],
    answer: AnswerRow,
    frame: Frame,
) -> tuple[npt.NDArray[np.integer], npt.NDArray[np.integer]]:
    """Counts pixels with truth and answer by their probability of each decided class.

    Returns: occupied cells, flat indexes into [K, 2, FULL + 1] (class, whether it is true, level),
    and their counts; empty if no class has a decision.
    """
    if not frame.decided:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    planes = read_planes(bytes(answer[PLANES_OUTPUT]), len(frame.classes))
    known = (true >= 0) & answered
    cells = [
        (place * 2 + (true[known] == place)) * (FULL + 1)
        + np.rint(planes[place][known] * FULL).astype(np.int64)
        for place in frame.decided
    ]
    return occupied(np.concatenate(cells), len(frame.classes) * 2 * (FULL + 1))


def ious(right: Floats, predicted: Floats, true: Floats) -> Floats:
    """Computes intersection over union, element by element; NaN for a class without truth."""
    union = true + predicted - right
    return np.divide(right, union, out=np.full(union.shape, np.nan), where=true > 0)


def _right_predicted_true(confusion: Floats) -> tuple[Floats, Floats, Floats]:
    return np.diag(confusion), confusion.sum(axis=0), confusion.sum(axis=1)


class Segmentation(EvaluatedTask[Tally]):
    """Segmentation: a class for each pixel."""

    task = "segmentation"
    outputs = (CLASS_RASTER_OUTPUT, CONFIDENCE_OUTPUT)
    truth = (MASK_ENCODED,)
    overall_metrics = (
        "mean_iou",
        "pixel_accuracy",
        "macro_precision",
        "macro_recall",
        "macro_f1",
        "calibration_error",
        "unanswered_fraction",
        "pixel_count",
        WITHOUT_TRUTH,
    )
    class_metrics = ("iou", "precision", "recall", "f1")
    title = "mean IoU"
    headline = "mean_iou"
    columns = {"accuracy": "pixel_accuracy", "macro F1": "macro_f1"}
    first_threshold = FirstThreshold("mean_iou", 0.2)
    answer_noun = "confidence"
    decision_unit = "pixel"
    detail_columns = {
        "pixel_cells": np.int64,
        "pixel_counts": np.int64,
        "level_cells": np.int64,
        "level_counts": np.int64,
    }

    def observe(self, features: Features, answer: AnswerRow, frame: Frame) -> Observation:
        """Returns empty labels, and one image's counts."""
        raster = answer[CLASS_RASTER_OUTPUT]
        if raster.shape != frame.image.shape[:2]:
            raise DataError(
                f"the model answers rasters of {raster.shape}, and its contract says "
                f"{frame.image.shape[:2]}: export it with the trainer's export"
            )
        true = true_mask(features, frame)
        found = in_space(raster, frame)
        counts = count_pixels(true, found, answer[CONFIDENCE_OUTPUT], len(frame.space))
        return np.zeros(0), counts.packed()

    def judged(self, features: Features, observation: Observation, frame: Frame) -> Judged:
        """Returns the classes with true and with found pixels, and the mean IoU of the true ones.

        A pixel counts only if the truth has a class and the model has answered.
        """
        counts = ImageCounts.unpacked(observation[1], len(frame.space))
        right, predicted, true = _right_predicted_true(counts.confusion)
        pixels, confidence, _ = counts.bins.sum(axis=1)
        names = np.array(frame.space)
        return Judged(
            joined(names[true > 0].tolist()) if MASK_ENCODED in features else None,
            joined(names[predicted > 0].tolist()),
            ratio(confidence, pixels),
            mean_known(ious(right, predicted, true)),
        )

    def details(self, features: Features, answer: AnswerRow, frame: Frame) -> Details | None:
        """Returns the tally of pixels, and that of pixels by probability of decided classes."""
        if (found := self.pair(features, answer, frame)) is None:
            return None
        true, predicted = found
        tally = pixel_tally(true, predicted, answer[CONFIDENCE_OUTPUT], len(frame.classes))
        cells, counts = _levels(true, predicted >= 0, answer, frame)
        return {
            "pixel_cells": tally.cells.tolist(),
            "pixel_counts": tally.counts.tolist(),
            "level_cells": cells.tolist(),
            "level_counts": counts.tolist(),
        }

    def scored(self, details: Details, place: int, class_count: int) -> Scored:
        cells, counts = (
            np.array(details[f"level_{name}"], np.int64) for name in ("cells", "counts")
        )
        places, truths, levels = np.unravel_index(cells, (class_count, 2, FULL + 1))
        mine = places == place
        right = counts * truths
        # A level holds the probabilities that round to it.
        scores = np.maximum(levels - 0.5, 0.0) / FULL
        return Scored(
            scores[mine],
            right[mine].astype(np.float64),
            counts[mine].astype(np.float64),
            float(right[mine].sum()),
        )

    def pair(
        self, features: Features, answer: AnswerRow, frame: Frame
    ) -> tuple[npt.NDArray[Any], npt.NDArray[Any]] | None:
        """Returns the true and the predicted place of each pixel, [H, W]; -1 for none."""
        if MASK_ENCODED not in features:
            return None
        return true_mask(features, frame), in_space(answer[CLASS_RASTER_OUTPUT], frame)

    def empty(self, class_count: int) -> Tally:
        return Tally.empty(class_count)

    def add(
        self, tally: Tally, labels: npt.NDArray[Any], predictions: npt.NDArray[Any], seed: int
    ) -> None:
        counts = ImageCounts.unpacked(predictions, len(tally.support))
        tally.add(counts, seed)

    def overall(self, tally: Tally) -> dict[str, float]:
        right, predicted, true = _right_predicted_true(tally.confusion)
        scores = precision_recall_f1(right, predicted, true)
        pixels = float(true.sum())
        return {
            "mean_iou": mean_known(ious(right, predicted, true)),
            "pixel_accuracy": ratio(float(right.sum()), pixels),
            **{f"macro_{name}": mean_known(values) for name, values in scores.items()},
            "calibration_error": math.nan if tally.non_finite else calibration_error(tally.bins),
            "unanswered_fraction": ratio(tally.unanswered, pixels + tally.unanswered),
            "pixel_count": pixels,
            NON_FINITE: tally.non_finite,
            WITHOUT_TRUTH: tally.examples - tally.with_truth,
        }

    def units(self, tally: Tally) -> Units:
        return tally.units

    def calibration(self, tally: Tally) -> Floats:
        return tally.bins

    def replicated(self, tally: Tally) -> Replicated:
        """Each mean leaves out the classes without a true pixel."""
        count = len(tally.support)
        values = ious(*tally.classes.replicated(count))
        means = np.array([mean_known(of_replicate) for of_replicate in values.T])
        return Replicated(means, tally.classes.intervals(self.class_metrics, count))

    def per_class(self, tally: Tally) -> dict[str, Floats]:
        right, predicted, true = _right_predicted_true(tally.confusion)
        return {
            SUPPORT: tally.support,
            "iou": ious(right, predicted, true),
            **precision_recall_f1(right, predicted, true),
        }

    def confusion(self, tally: Tally) -> Floats:
        return tally.confusion


TASK = Segmentation()
