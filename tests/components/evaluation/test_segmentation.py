"""The metrics of a class for each pixel, against scikit-learn and answers worked out by hand."""

import io
import math
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn import metrics

from components.evaluation.tasks.base import Frame
from components.evaluation.tasks.segmentation import Segmentation, Tally, decode_mask
from components.raster.errors import DataError
from components.raster.image import ImageSpec
from tests.components.evaluation.merging import interval_of, same_however_merged

FAMILY = Segmentation()
CLASSES = ("field", "roof", "water")
K = 4  # and the unknown class
IGNORE = 255


def frame(classes: tuple[str, ...] = CLASSES, **image: Any) -> Frame:
    spec = ImageSpec(**{"height_px": 16, "width_px": 12, **image})
    return Frame((*CLASSES, "(unknown)"), classes, CLASSES, spec, 0.5)


def png(mask: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(mask).save(file, "PNG")
    return file.getvalue()


def images(count: int = 12) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Truth, answer and confidence [16, 12]; no water in truth, and some of it in answers."""
    rng = np.random.default_rng(0)
    made = []
    for _ in range(count):
        true = rng.choice([0, 1, IGNORE], (16, 12), p=(0.6, 0.3, 0.1)).astype(np.uint8)
        noise = rng.random((16, 12)) < 0.3
        found = np.where(noise, rng.integers(0, 3, (16, 12)), np.minimum(true, 1))
        found[:2] = IGNORE
        made.append((true, found.astype(np.uint8), rng.random((16, 12), np.float32)))
    return made


def observations(made: list[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> list[Any]:
    return [
        (
            *FAMILY.observe(
                {"mask/encoded": [png(true)]},
                {"class_raster": found, "confidence": confidence},
                frame(),
            ),
            seed,
        )
        for seed, (true, found, confidence) in enumerate(made)
    ]


def tally_of(observed: list[Any]) -> Tally:
    tally = FAMILY.empty(K)
    for observation in observed:
        FAMILY.add(tally, *observation)
    return tally


def test_scores_are_those_of_scikit_learn_over_the_pixels_that_count() -> None:
    made = images()
    true, found, confidence = (np.concatenate([it[at].ravel() for it in made]) for at in range(3))
    counts = (true != IGNORE) & (found != IGNORE)
    true_pixels, found_pixels = true[counts], found[counts]
    tally = tally_of(observations(made))
    overall, per_class = FAMILY.overall(tally), FAMILY.per_class(tally)

    ious = metrics.jaccard_score(true_pixels, found_pixels, labels=[0, 1], average=None)
    np.testing.assert_allclose(per_class["iou"][:2], ious)
    assert overall["mean_iou"] == pytest.approx(ious.mean())
    assert math.isnan(per_class["iou"][2]), "water is nowhere true"
    dice = metrics.f1_score(true_pixels, found_pixels, labels=[0, 1], average="macro")
    assert overall["macro_f1"] == pytest.approx(dice)
    assert overall["pixel_accuracy"] == pytest.approx((true_pixels == found_pixels).mean())
    assert overall["pixel_count"] == counts.sum()
    assert overall["unanswered_fraction"] == pytest.approx(
        ((true != IGNORE) & (found == IGNORE)).sum() / (true != IGNORE).sum()
    )
    np.testing.assert_array_equal(
        tally.confusion[:3, :3], metrics.confusion_matrix(true_pixels, found_pixels)
    )
    assert per_class["support"].tolist() == [12, 12, 0, 0]
    bins = np.minimum((confidence[counts] * 15).astype(int), 14)
    right = true_pixels == found_pixels
    expected = sum(
        abs(confidence[counts][bins == at].sum() - right[bins == at].sum()) for at in range(15)
    )
    assert overall["calibration_error"] == pytest.approx(expected / counts.sum(), rel=1e-4)


def test_a_mask_of_another_shape_meets_the_answer_on_the_model_s_grid() -> None:
    """A tile of 8 x 12, padded into 16 x 12: only the middle rows have truth."""
    true = np.zeros((8, 12), np.uint8)
    true[:, 6:] = 1
    found = np.zeros((16, 12), np.uint8)
    found[:, 6:] = 1
    found[:4], found[12:] = 2, 2
    answer = {"class_raster": found, "confidence": np.ones((16, 12), np.float32)}
    labels, predictions = FAMILY.observe({"mask/encoded": [png(true)]}, answer, frame(fit="pad"))
    overall = FAMILY.overall(tally_of([(labels, predictions, 0)]))
    assert overall["mean_iou"] == 1
    assert overall["pixel_count"] == 96


def test_a_model_with_its_classes_in_another_order_is_read_by_name() -> None:
    true, found, confidence = images(1)[0]
    swapped = np.array([2, 1, 0])[np.minimum(found, 2)].astype(np.uint8)
    swapped[found == IGNORE] = IGNORE
    scores = [
        FAMILY.overall(
            tally_of(
                [
                    (
                        *FAMILY.observe(
                            {"mask/encoded": [png(true)]},
                            {"class_raster": raster, "confidence": confidence},
                            frame(classes),
                        ),
                        0,
                    )
                ]
            )
        )
        for raster, classes in ((found, CLASSES), (swapped, CLASSES[::-1]))
    ]
    assert scores[0] == pytest.approx(scores[1], nan_ok=True)


def test_merging_in_any_order_gives_what_counting_together_gives() -> None:
    same_however_merged(FAMILY, observations(images(14)), K)


def test_images_without_a_pixel_of_truth_are_counted_as_such() -> None:
    nothing = np.full((16, 12), IGNORE, np.uint8)
    _, found, confidence = images(1)[0]
    answer = {"class_raster": found, "confidence": confidence}
    observed = observations(images(3))
    before = FAMILY.overall(tally_of(observed))
    observed.append((*FAMILY.observe({"mask/encoded": [png(nothing)]}, answer, frame()), 7))
    observed.append((*FAMILY.observe({}, answer, frame()), 8))
    tally = tally_of(observed)
    assert tally.examples == 5
    assert FAMILY.overall(tally) == pytest.approx(
        {**before, "examples_without_truth": 2}, nan_ok=True
    )


def test_a_class_index_that_the_candidate_does_not_have_is_the_unknown_class() -> None:
    true = np.full((16, 12), 9, np.uint8)
    answer = {
        "class_raster": np.zeros((16, 12), np.uint8),
        "confidence": np.ones((16, 12), np.float32),
    }
    observed = (*FAMILY.observe({"mask/encoded": [png(true)]}, answer, frame()), 0)
    assert FAMILY.per_class(tally_of([observed]))["support"].tolist() == [0, 0, 0, 1]


def test_sixteen_bit_masks_ignore_their_largest_value() -> None:
    mask = np.array([[0, 299, 65535]], np.uint16)
    assert decode_mask(png(mask), class_count=300, unknown=300).tolist() == [[0, 299, -1]]


@pytest.mark.parametrize("broken", [b"", b"no image", png(np.zeros((4, 4, 3), np.uint8))])
def test_what_is_no_gray_image_is_an_error(broken: bytes) -> None:
    with pytest.raises(DataError, match="mask/encoded"):
        decode_mask(broken, 3, 3)


def test_confidence_that_is_not_finite_is_reported_and_has_no_calibration() -> None:
    true, found, confidence = images(1)[0]
    broken = np.where(confidence > 0.5, np.nan, confidence)
    answer = {"class_raster": found, "confidence": broken}
    observed = (*FAMILY.observe({"mask/encoded": [png(true)]}, answer, frame()), 0)
    overall = FAMILY.overall(tally_of([observed]))
    assert overall["non_finite_count"] == 1
    assert math.isnan(overall["calibration_error"])
    assert overall["mean_iou"] > 0


def test_the_interval_is_that_of_an_ordinary_bootstrap_over_images() -> None:
    rng = np.random.default_rng(3)
    observed = []
    for seed in range(60):
        true = (rng.random((16, 12)) < 0.5).astype(np.uint8)
        flip = rng.random((16, 12)) < rng.uniform(0, 0.5)  # images differ in how hard they are
        answer = {
            "class_raster": np.where(flip, 1 - true, true).astype(np.uint8),
            "confidence": np.ones((16, 12), np.float32),
        }
        observed.append((*FAMILY.observe({"mask/encoded": [png(true)]}, answer, frame()), seed))
    found = interval_of(FAMILY, tally_of(observed))
    assert found is not None
    parts = [tally_of([it]).confusion for it in observed]
    drawn = [sum(parts[at] for at in rng.integers(0, 60, 60)) for _ in range(1000)]
    means = [
        np.mean([c[k, k] / (c[k].sum() + c[:, k].sum() - c[k, k]) for k in (0, 1)]) for c in drawn
    ]
    expected = np.percentile(means, (2.5, 97.5))
    np.testing.assert_allclose(found, expected, atol=0.2 * (expected[1] - expected[0]))


def test_more_classes_than_a_byte_holds_are_counted_as_any() -> None:
    """300 classes: masks of 16 bits and rasters of int32, both with 65,535 where nothing is."""
    names = tuple(f"class {number}" for number in range(300))
    space = Frame((*names, "(unknown)"), names, names, ImageSpec(height_px=8, width_px=8), 0.5)
    true, found = np.full((8, 8), 65_535, np.uint16), np.full((8, 8), 65_535, np.int32)
    true[:2, :4] = [[0, 255, 256, 299], [65_535, 7, 7, 256]]
    found[:2, :4] = [[0, 255, 299, 299], [3, 65_535, 7, 256]]
    answer = {"class_raster": found, "confidence": np.ones((8, 8), np.float32)}
    tally = FAMILY.empty(301)
    FAMILY.add(tally, *FAMILY.observe({"mask/encoded": [png(true)]}, answer, space), 0)
    overall, per_class = FAMILY.overall(tally), FAMILY.per_class(tally)
    assert overall["pixel_count"] == 6
    assert overall["unanswered_fraction"] == pytest.approx(1 / 7)
    assert overall["pixel_accuracy"] == pytest.approx(5 / 6)
    # Of five classes: 256 has one of two pixels, 299 one too many.
    np.testing.assert_allclose(per_class["iou"][[0, 7, 255, 256, 299]], [1, 1, 1, 0.5, 0.5])
    assert overall["mean_iou"] == pytest.approx(0.8)
