"""The Evaluation node's executor on real models and examples: TFMA's results and the verdicts.

The models answer by brightness (see tests/components/models.py), so that what they get right and
wrong is known without them.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow_model_analysis as tfma

from components.evaluation.config import EvaluationConfig
from components.evaluation.predictions import PredictionTable
from components.evaluation.result import EvaluationResult
from components.evaluation.rules import judge
from components.raster.spatial.grouping import GROUPING_FILE, Grouping, grouping_to_json
from tests.components.evaluation.node import Node
from tests.components.models import example, save_model

CLASSES = ("dark", "middle", "light")
CENTRES = {"dark": 1 / 6, "middle": 3 / 6, "light": 5 / 6}


def model(folder: Path, classes: tuple[str, ...] = CLASSES, **options: Any) -> Path:
    """A Model artifact's folder."""
    save_model(folder / "Format-Serving", classes, **options)
    return folder


def collection() -> list[bytes]:
    """24 examples at the classes' centres; in the south every second `dark` is labelled middle."""
    made = []
    for region in ("north", "south"):
        for index in range(12):
            truth = CLASSES[index % 3]
            wrong = region == "south" and index in (0, 6)
            made.append(example(CENTRES[truth], "middle" if wrong else truth, {"region": region}))
    return made


def test_corrupted_copies_are_slices_and_leave_the_other_metrics_alone(tmp_path: Path) -> None:
    """Six tenths of the light make light middle, and middle dark."""
    node = Node(tmp_path, collection())
    threshold = {
        "metric": "accuracy",
        "slice": "corruption=darkness,strength=2",
        "at_least": 0.9,
    }
    evaluation, report, _ = node.run(
        model(tmp_path / "model"), corruptions=["darkness"], thresholds=[threshold], batch_size=7
    )
    by_name = {item.name: item for item in evaluation.slices}
    assert len(by_name) == 4
    truth = np.array([CLASSES.index(text) for text in CLASSES * 8])
    labels = truth.copy()
    labels[[12, 18]] = 1
    accuracy = (np.maximum(truth - 1, 0) == labels).mean()
    darkened = by_name["corruption=darkness,strength=2"]
    assert darkened.examples == 24
    assert darkened.candidate["accuracy"] == pytest.approx(accuracy)
    assert evaluation.corruption_curves["darkness"][0] == pytest.approx(22 / 24)
    assert evaluation.corruption_curves["darkness"][2] == pytest.approx(accuracy)
    (failed,) = report.failed
    assert failed.subject == "corruption=darkness,strength=2"


def test_metrics_are_those_of_the_models_on_the_test_split_alone(tmp_path: Path) -> None:
    node = Node(tmp_path, collection())
    node.baseline = model(tmp_path / "old", shift=1 / 3) / "Format-Serving"
    evaluation, report, output = node.run(
        model(tmp_path / "model"),
        slices=["region", ["region", "label/text"], "image/brightness"],
        bins={"image/brightness": [100]},
        batch_size=5,
    )
    assert report.passed
    assert (evaluation.classes, evaluation.baseline_version) == (CLASSES, 7)

    # What the candidate answers is the class nearest in brightness; the baseline's classes are
    # shifted by one, so that it takes every class for the one below (dark stays dark).
    truth = np.array([CLASSES.index(text) for text in CLASSES * 8])
    labels = truth.copy()
    labels[[12, 18]] = 1
    south = np.arange(24) >= 12
    overall = evaluation.overall
    assert overall is not None
    assert overall.examples == 24
    assert overall.candidate["accuracy"] == pytest.approx((truth == labels).mean())
    baseline_answers = np.maximum(truth - 1, 0)
    assert overall.baseline is not None
    assert overall.baseline["accuracy"] == pytest.approx((baseline_answers == labels).mean())
    by_name = {item.name: item for item in evaluation.slices}
    assert by_name["region=north"].candidate["accuracy"] == 1.0
    assert by_name["region=south"].candidate["accuracy"] == pytest.approx(10 / 12)
    assert by_name["region=south"].candidate["recall/middle"] == pytest.approx(4 / 6)
    assert by_name["label/text=dark,region=south"].examples == 2
    assert by_name["image/brightness=<100"].examples == 8
    assert evaluation.confusion == tuple(
        tuple(int(((labels == true) & (truth == said)).sum()) for said in range(4))
        for true in range(4)
    )
    low, high = by_name["region=south"].interval or (1, 0)
    assert low < 10 / 12 < high
    assert int(south.sum()) == by_name["region=south"].examples

    # Of the two models on the same examples.
    right = truth == labels, baseline_answers == labels
    assert overall.change is not None
    assert overall.change.difference == pytest.approx(right[0].mean() - right[1].mean())
    assert evaluation.mcnemar is not None
    assert evaluation.mcnemar.only_candidate == (right[0] & ~right[1]).sum()
    assert evaluation.mcnemar.only_baseline == (~right[0] & right[1]).sum()

    # The table of reliability adds up to the calibration error.
    bins = evaluation.reliability["candidate"]
    assert sum(each.count for each in bins) == 24
    apart = sum(each.count * abs(each.confidence - each.accuracy) for each in bins)
    assert apart / 24 == pytest.approx(overall.candidate["calibration_error"])

    # Each example's row says what the metrics add up.
    rows = list(PredictionTable(Path(output) / "predictions.parquet"))
    assert [row.key for row in rows] == sorted(row.key for row in rows)
    assert np.mean([row.score for row in rows]) == pytest.approx((truth == labels).mean())
    assert np.mean([row.loss for row in rows]) == pytest.approx(overall.candidate["log_loss"])
    before = np.mean([row.baseline_loss for row in rows])
    assert before == pytest.approx(overall.baseline["log_loss"])
    dark = [row for row in rows if row.key == "dark-0.17"]
    assert {(row.answer, row.baseline_answer) for row in dark} == {("dark", "dark")}
    assert [row.slices["region"] for row in dark].count("north") == 4
    assert {row.slices["image/brightness"] for row in dark} == {"<100"}
    assert all(row.group is None and row.confidence == max(row.probabilities) for row in rows)

    # The artifact is TFMA's own, for its viewers and for other tools.
    results = tfma.load_eval_results(output)
    assert {result.model_location for result in results.get_results()} == {
        str(tmp_path / "model" / "Format-Serving"),
        str(tmp_path / "baseline" / "version"),
    }
    single = tfma.load_eval_result(output, model_name="candidate")
    metrics = single.get_metrics_for_slice(slice_name=(("region", "south"),))
    assert metrics["accuracy"]["doubleValue"] == pytest.approx(10 / 12)
    assert metrics["example_count"]["doubleValue"] == 12


def verdict(evaluation: EvaluationResult, **config: Any) -> bool:
    """The node's verdict on what it measured, with another configuration of its gate."""
    return judge(EvaluationConfig.model_validate(config), evaluation).passed


def test_thresholds_block_and_pass(tmp_path: Path) -> None:
    def thresholds(at_least: float, change: float) -> list[dict[str, Any]]:
        return [{"metric": "accuracy", "at_least": at_least, "change": {"at_least": change}}]

    node = Node(tmp_path, collection())
    node.baseline = model(tmp_path / "old", shift=1 / 3) / "Format-Serving"
    evaluation, report, _ = node.run(model(tmp_path / "model"), thresholds=thresholds(0.95, 0.7))
    assert not report.passed
    assert verdict(evaluation, thresholds=thresholds(0.9, 0.0))
    assert not verdict(evaluation, thresholds=thresholds(0.9, 0.7))
    assert not verdict(evaluation, thresholds=thresholds(0.95, 0.0))


def test_without_a_baseline_a_change_threshold_blocks_unless_allowed(tmp_path: Path) -> None:
    node = Node(tmp_path, collection())
    thresholds = [{"metric": "accuracy", "change": {"at_least": -0.1}}]
    evaluation, report, output = node.run(model(tmp_path / "model"), thresholds=thresholds)
    assert not report.passed
    assert evaluation.baseline_version is None
    assert tfma.load_eval_result(output).slicing_metrics
    assert verdict(evaluation, thresholds=thresholds, allow=["missing_baseline"])


def test_classes_of_baseline_and_candidate_may_differ(tmp_path: Path) -> None:
    """They are compared by name: order does not matter, and an unknown class is simply wrong."""
    node = Node(tmp_path, collection())
    node.baseline = model(tmp_path / "old", classes=("dark", "grey")) / "Format-Serving"
    evaluation, report, _ = node.run(model(tmp_path / "model"))
    assert [finding.subject for finding in report.failed] == ["classes"]
    overall = evaluation.overall
    assert overall is not None
    assert overall.baseline is not None
    assert overall.baseline["recall/middle"] == 0.0
    assert overall.baseline["recall/dark"] == 1.0
    assert evaluation.baseline_classes == ("dark", "grey")


def test_labels_that_no_model_knows_block(tmp_path: Path) -> None:
    node = Node(tmp_path, [*collection(), example(0.5, "cloud")])
    # Six share a group, so that there are 20 independent units.
    grouping = Grouping(groups={"dark-0.17": "farm"})
    (tmp_path / "examples" / GROUPING_FILE).write_text(grouping_to_json(grouping))
    evaluation, report, output = node.run(model(tmp_path / "model"))
    assert [finding.rule for finding in report.failed] == ["labels that the candidate knows"]
    assert evaluation.overall is not None
    assert evaluation.overall.examples == 25
    assert evaluation.overall.drawn == {"method": "bootstrap", "by": "group", "count": 20}
    assert evaluation.overall.interval is not None
    rows = PredictionTable(Path(output) / "predictions.parquet")
    assert [(row.truth, row.group) for row in rows if row.group] == [("dark", "farm")] * 6


def test_a_model_that_answers_nan_blocks(tmp_path: Path) -> None:
    node = Node(tmp_path, collection())
    evaluation, report, _ = node.run(
        model(tmp_path / "model", nan=True),
        thresholds=[{"metric": "log_loss", "at_most": 100.0}],
    )
    assert {finding.subject for finding in report.failed} == {"predictions", "overall"}
    assert evaluation.overall is not None
    assert evaluation.overall.candidate["non_finite_count"] == 24


def test_a_candidate_that_fails_at_one_example_blocks_and_the_finding_names_it(
    tmp_path: Path,
) -> None:
    bright = [example(0.99, "light")] * 2  # one in each file
    node = Node(tmp_path, [*collection(), *bright, *collection()])
    evaluation, report, output = node.run(
        model(tmp_path / "model", brightest=0.9), slices=["region"], batch_size=50
    )
    [finding] = report.failed
    assert finding.rule == "a candidate that answers"
    assert "fails at the example light-0.99 of " in finding.detail
    assert "too bright" in finding.detail
    assert "look at the export" in finding.detail
    assert (evaluation.slices, evaluation.classes) == ((), ())
    assert [path.name for path in Path(output).iterdir()] == ["metrics.json"]


def test_a_baseline_that_fails_at_one_example_is_left_out_of_the_measures(tmp_path: Path) -> None:
    node = Node(tmp_path, [*collection(), example(0.99, "light")])
    node.baseline = model(tmp_path / "old", brightest=0.9) / "Format-Serving"
    evaluation, report, output = node.run(model(tmp_path / "model"))
    [finding] = report.failed
    assert finding.rule == "a baseline that answers"
    assert "fails at the example light-0.99" in finding.detail
    assert evaluation.overall is not None
    assert evaluation.overall.examples == 25
    assert evaluation.overall.baseline is None
    assert tfma.load_eval_result(output).slicing_metrics
    assert verdict(evaluation, allow=["unusable_baseline"])


def test_an_empty_test_split_blocks_and_does_not_crash(tmp_path: Path) -> None:
    node = Node(tmp_path, [])
    _, report, _ = node.run(model(tmp_path / "model"))
    assert [finding.rule for finding in report.failed] == ["examples to evaluate"]


def test_an_unusual_split_is_named_in_the_finding(tmp_path: Path) -> None:
    node = Node(tmp_path, collection())
    _, report, _ = node.run(model(tmp_path / "model"), split="holdout")
    assert "the holdout split has no example" in report.failed[0].detail
