"""The Evaluation node on real models of every task: metrics, slices, baselines and verdicts.

The models answer by the pixels alone (see tests/components/task_models.py), so that what they get
right and wrong is known without them.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_model_analysis as tfma

from components.evaluation.result import EvaluationResult, SliceMetrics
from components.raster.image import ImageSpec
from components.raster.task import Task
from serving.contract.contract import Contract
from tests.components.evaluation.node import Node
from tests.components.models import (
    example,
    save_model,
    save_with_signatures,
    serialized,
    slice_features,
)
from tests.components.task_models import png, save_task_model

CLASSES = ("a", "b", "c")


def served(folder: Path, task: Task, classes: Sequence[str] = (), **options: Any) -> Path:
    """A Model artifact's folder."""
    save_task_model(folder / "Format-Serving", task, classes, **options)
    return folder


def tile(pixels: np.ndarray, region: str, **truth: Any) -> bytes:
    """An example of a gray image; `/` in the names of its features is written `__`."""
    features = {name.replace("__", "/"): value for name, value in truth.items()}
    height, width = pixels.shape
    shape = {"image/height": height, "image/width": width}
    encoded = {"image/encoded": png(pixels)}
    return serialized(encoded | shape | features | slice_features({"region": region}))


def flat(gray: float) -> np.ndarray:
    return np.full((16, 16), round(gray * 255), np.uint8)


def by_name(evaluation: EvaluationResult) -> dict[str, SliceMetrics]:
    return {item.name: item for item in evaluation.slices}


def test_several_classes_an_image(tmp_path: Path) -> None:
    """In the south every answer has one class too many, because the labels lack it."""
    examples = []
    for count in range(4):
        gray = (count + 0.5) / 4
        names = [name.encode() for name in CLASSES[:count]]
        examples += [
            tile(flat(gray), "north", labels__text=names),
            tile(flat(gray), "south", labels__text=names[:-1]),
        ]
    node = Node(tmp_path, examples)
    old = served(tmp_path / "old", "multi_label", CLASSES, shift=0.25)
    node.baseline = old / "Format-Serving"
    evaluation, report, output = node.run(
        served(tmp_path / "model", "multi_label", CLASSES),
        slices=["region"],
        thresholds=[
            {"metric": "exact_match", "at_least": 1, "slice": "region=north"},
            {"metric": "recall/*", "at_least": 1},
            {"metric": "micro_f1", "change": {"at_least": 0}},
        ],
    )
    assert report.passed, report.failed
    assert (evaluation.task, evaluation.classes) == ("multi_label", CLASSES)
    slices = by_name(evaluation)
    assert slices["region=north"].candidate["exact_match"] == 1
    south = slices["region=south"].candidate
    assert south["exact_match"] == 1 / 4
    assert south["hamming_loss"] == pytest.approx(3 / 12)
    assert south["precision/a"] == pytest.approx(2 / 3)
    # The baseline sees one class more in every image but the brightest.
    before = slices["region=north"].baseline
    assert before is not None
    assert before["exact_match"] == 1 / 4
    assert slices["overall"].interval == pytest.approx((0.3057, 0.8632), abs=1e-3)
    assert evaluation.confusion == ()
    result = tfma.load_eval_result(output, model_name="candidate")
    values = result.get_metrics_for_slice(slice_name=(("region", "south"),))
    assert values["hamming_loss"]["doubleValue"] == pytest.approx(3 / 12)


def test_a_number_an_image(tmp_path: Path) -> None:
    grays = np.linspace(0, 1, 12)
    examples = [
        tile(flat(gray), region, target__number=10 * round(gray * 255) / 255 + offset)
        for gray in grays
        for region, offset in (("north", 0.0), ("south", -2.0))
    ]
    examples.append(tile(flat(0.5), "north"))
    node = Node(tmp_path, examples)
    node.baseline = served(tmp_path / "old", "regression", shift=0.1) / "Format-Serving"
    evaluation, report, _ = node.run(
        served(tmp_path / "model", "regression"),
        slices=["region"],
        thresholds=[
            {"metric": "mae", "at_most": 1.01},
            {"metric": "rmse", "at_most": 0.01, "slice": "region=north"},
            {"metric": "mae", "change": {"at_most": 0}},
            {"metric": "bias", "at_most": 1.5, "slice": "region"},
        ],
    )
    assert [finding.subject for finding in report.failed] == ["region=south"]
    assert "bias on region=south (n=12) is 2" in report.failed[0].detail
    slices = by_name(evaluation)
    overall = slices["overall"]
    assert overall.examples == 25
    assert overall.candidate["examples_without_truth"] == 1
    assert overall.candidate["mae"] == pytest.approx(1)
    assert overall.candidate["rmse"] == pytest.approx(np.sqrt(2))
    assert overall.baseline is not None
    assert overall.baseline["mae"] == pytest.approx(2)
    assert slices["region=north"].candidate["r2"] == pytest.approx(1)
    low, high = overall.interval or (0, 0)
    assert low < 1 < high
    assert (evaluation.classes, evaluation.baseline_classes) == ((), ())


def halves(left: float, right: float, width: int = 16) -> np.ndarray:
    pixels = np.full((16, width), round(left * 255), np.uint8)
    pixels[:, width // 2 :] = round(right * 255)
    return pixels


def test_a_class_for_each_pixel(tmp_path: Path) -> None:
    """Left a, right c; in the south the truth of the right half is b. A column has no truth."""
    examples = []
    for region, right in (("north", 2), ("south", 1)):
        for gray in (0.1, 0.2, 0.3):
            mask = np.zeros((16, 16), np.uint8)
            mask[:, 8:] = right
            mask[:, 15] = 255
            pixels = halves(gray, 0.9)
            pixels[0] = 0  # no data
            examples.append(tile(pixels, region, mask__encoded=png(mask), mask__format=b"png"))
    node = Node(tmp_path, examples)
    old = served(tmp_path / "old", "segmentation", CLASSES, shift=-0.6)
    node.baseline = old / "Format-Serving"
    evaluation, report, _ = node.run(
        served(tmp_path / "model", "segmentation", CLASSES),
        slices=["region"],
        thresholds=[
            {"metric": "mean_iou", "at_least": 1, "slice": "region=north"},
            {"metric": "iou/a", "at_least": 0.99, "slice": "region"},
            {"metric": "pixel_accuracy", "change": {"at_least": 0.1}},
        ],
    )
    assert report.passed, report.failed
    left, right = 3 * 15 * 8, 3 * 15 * 7
    assert evaluation.confusion_classes == (*CLASSES, "(unknown)")
    assert evaluation.confusion == (
        (2 * left, 0, 0, 0),
        (0, 0, right, 0),
        (0, 0, right, 0),
        (0, 0, 0, 0),
    )
    slices = by_name(evaluation)
    overall = slices["overall"].candidate
    assert overall["iou/c"] == pytest.approx(0.5)
    assert overall["mean_iou"] == pytest.approx((1 + 0 + 0.5) / 3)
    assert overall["unanswered_fraction"] == pytest.approx(1 / 16)
    assert overall["support/b"] == 3
    assert slices["region=south"].candidate["pixel_accuracy"] == pytest.approx(8 / 15)
    before = slices["overall"].baseline
    assert before is not None
    assert before["pixel_accuracy"] == pytest.approx(8 / 15), "all is a to the baseline"
    assert slices["overall"].interval is None, "six examples are too few"


def test_boxes(tmp_path: Path) -> None:
    """Tiles of 32 x 16 meet the model at 16 x 16; in the south boxes of the truth are b."""
    examples = []
    for region, name in (("north", b"a"), ("south", b"b")):
        for row in (2, 6, 10):
            pixels = np.full((32, 16), 20, np.uint8)
            pixels[2 * row : 2 * row + 8, 4:12] = 0.6 * 255
            edges = {"ymin": 2 * row, "ymax": 2 * row + 8, "xmin": 4, "xmax": 12}
            truth = {f"object__bbox__{edge}": float(at) for edge, at in edges.items()}
            examples.append(tile(pixels, region, **truth, object__label__text=[name]))
    node = Node(tmp_path, examples)
    node.baseline = served(tmp_path / "old", "detection", CLASSES, shift=1) / "Format-Serving"
    evaluation, report, _ = node.run(
        served(tmp_path / "model", "detection", CLASSES),
        slices=["region"],
        thresholds=[
            {"metric": "mean_average_precision_50", "at_least": 0.99, "slice": "region=north"},
            {"metric": "mean_average_precision", "change": {"at_least": 0.2}},
            {"metric": "recall/b", "at_least": 0.1},
        ],
    )
    assert [finding.rule for finding in report.failed] == ["recall/b >= 0.1"]
    slices = by_name(evaluation)
    assert slices["region=north"].candidate["mean_average_precision"] == pytest.approx(1, abs=0.2)
    overall = slices["overall"]
    # Of a, three of six are right, all with one score; b is never found.
    assert overall.candidate["average_precision_50/b"] == 0
    assert overall.candidate["precision/a"] == 0.5
    assert overall.candidate["macro_recall"] == 0.5
    assert overall.baseline is not None
    assert overall.baseline["mean_average_precision_50"] == 0
    assert slices["region=south"].candidate["mean_average_precision_50"] == 0


@pytest.mark.slow
def test_models_of_other_shapes_are_compared_on_grids_of_their_own(tmp_path: Path) -> None:
    mask = np.zeros((16, 16), np.uint8)
    mask[:, 8:] = 2
    node = Node(tmp_path, [tile(halves(0.1, 0.9), "north", mask__encoded=png(mask))])
    wide = ImageSpec(height_px=24, width_px=32, fit="pad")
    old = served(tmp_path / "old", "segmentation", CLASSES, image=wide)
    node.baseline = old / "Format-Serving"
    evaluation, _, _ = node.run(served(tmp_path / "model", "segmentation", CLASSES))
    overall = evaluation.overall
    assert overall is not None
    assert overall.baseline is not None
    assert overall.candidate["pixel_count"] == 16 * 16
    assert overall.baseline["pixel_count"] == 24 * 24
    assert overall.candidate["mean_iou"] == 1
    assert overall.baseline["mean_iou"] > 0.9


@pytest.mark.slow
def test_a_baseline_of_another_task_blocks(tmp_path: Path) -> None:
    node = Node(tmp_path, [tile(flat(0.5), "north", target__number=5.0)])
    node.baseline = save_model(tmp_path / "old", CLASSES)
    model = served(tmp_path / "model", "regression")
    threshold = {"metric": "mae", "at_most": 0.1, "change": {"at_most": 0}}
    evaluation, report, _ = node.run(model, thresholds=[threshold])
    assert [finding.rule for finding in report.failed] == ["the task that the baseline answers"]
    assert evaluation.overall is not None
    assert evaluation.overall.candidate["mae"] == pytest.approx(0, abs=0.1)
    assert evaluation.overall.baseline is None


@pytest.mark.parametrize("damage", ["no graph", "no signature", "no contract's answer"])
def test_a_candidate_that_cannot_be_asked_blocks_with_a_report(tmp_path: Path, damage: str) -> None:
    node = Node(tmp_path, [example(0.5, "a")])
    folder = tmp_path / "model"
    model = save_model(folder / "Format-Serving", CLASSES)
    damaged(model, damage)
    evaluation, report, output = node.run(folder)
    (finding,) = report.failed
    assert (finding.rule, finding.subject) == ("a candidate that answers", "candidate")
    assert evaluation.overall is None
    assert evaluation.failures["candidate"]
    assert not (Path(output) / "metrics").exists()


def test_a_baseline_that_cannot_be_asked_blocks_unless_allowed(tmp_path: Path) -> None:
    examples = [example(0.5, "b")]
    model = tmp_path / "model"
    save_model(model / "Format-Serving", CLASSES)
    old = save_model(tmp_path / "old", CLASSES)
    damaged(old, "no variables")
    config: dict[str, Any] = {"thresholds": [{"metric": "accuracy", "change": {"at_least": 0}}]}
    for allow, failed in ([], ["a baseline that answers"]), (["unusable_baseline"], []):
        node = Node(tmp_path / f"run{len(allow)}", examples)
        node.baseline = old
        evaluation, report, _ = node.run(model, **config, allow=allow)
        assert [finding.rule for finding in report.failed] == failed
        assert evaluation.overall is not None
        assert evaluation.overall.candidate["accuracy"] == 1


def damaged(model: Path, how: str) -> None:
    """Break a SavedModel in one way."""
    if how == "no graph":
        (model / "saved_model.pb").write_bytes(b"no model")
    elif how == "no variables":
        (model / "variables" / "variables.index").unlink()
    elif how == "no signature":
        contract = (model / "assets.extra" / "contract.json").read_bytes()
        tf.saved_model.save(tf.Module(), str(model))
        (model / "assets.extra").mkdir(exist_ok=True)
        (model / "assets.extra" / "contract.json").write_bytes(contract)
    else:
        contract = (model / "assets.extra" / "contract.json").read_text()
        (model / "assets.extra" / "contract.json").write_text(
            contract.replace("single_label", "detection")
        )


def test_metrics_of_classes_have_intervals_by_example_in_every_slice(tmp_path: Path) -> None:
    """Of twelve masks with class c on the right, three have b there by the truth."""
    examples = []
    for number in range(12):
        mask = np.zeros((16, 16), np.uint8)
        mask[:, 8:] = 1 if number < 3 else 2
        gray = 0.1 + number / 100
        examples.append(tile(halves(gray, 0.9), "all", mask__encoded=png(mask)))
    evaluation, _, _ = Node(tmp_path, examples).run(
        served(tmp_path / "model", "segmentation", CLASSES), slices=["region"]
    )
    for item in evaluation.slices:
        low, high = item.class_intervals["precision/c"]
        half = 1.96 * (0.75 * 0.25 / 12) ** 0.5
        assert (low, high) == pytest.approx((0.75 - half, min(0.75 + half, 1)), abs=0.1)
        assert item.class_intervals["iou/a"] == (1, 1)
        assert "recall/b" not in item.class_intervals, "three images have it"


class Brightness(tf.Module):
    """Logits of `dark` and `bright` for each pixel: even at a gray of 0.6."""

    def __call__(self, pixels: tf.Tensor) -> tf.Tensor:
        gray = tf.reduce_mean(tf.cast(pixels, tf.float32), axis=-1) / 255.0
        return tf.stack([tf.zeros_like(gray), 10 * (gray - 0.6)], axis=-1)


def test_pixels_are_decided_about_where_another_class_is_more_probable_too(tmp_path: Path) -> None:
    """From a gray of 0.55 on the truth is bright; the model finds the half that is above 0.6."""
    pixels, mask = np.full((16, 16), 50, np.uint8), np.zeros((16, 16), np.uint8)
    pixels[:, 8:12], pixels[:, 12:], mask[:, 8:] = 140, 230, 1
    node = Node(tmp_path, [tile(pixels, "all", mask__encoded=png(mask)) for _ in range(3)])
    contract = Contract(
        task="segmentation",
        image=ImageSpec(height_px=16, width_px=16),
        classes=("dark", "bright"),
    )
    model = tmp_path / "model" / "Format-Serving"
    save_with_signatures(Brightness(), contract, model)
    evaluation, _, _ = node.run(
        model.parent,
        decisions=[{"class": "bright", "recall": 1.0}, {"class": "dark", "recall": 0.5}],
    )
    assert evaluation.overall is not None
    assert evaluation.overall.candidate["recall/bright"] == 0.5
    bright, dark = evaluation.decisions
    probability = 1 / (1 + np.exp(-10 * (140 / 255 - 0.6)))
    assert bright.threshold == pytest.approx(probability, abs=1 / 255)
    assert bright.threshold <= probability
    assert (bright.precision, bright.recall, bright.decided) == (1, 1, 3 * 128)
    assert dark.precision == 1, "the surest half is far darker than 0.55"
