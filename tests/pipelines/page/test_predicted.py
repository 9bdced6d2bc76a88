"""Numbers that a page draws from a split's predictions, against ones worked out by hand."""

import io
import json
import math
from pathlib import Path

import pytest
from tensorflow_metadata.proto.v0 import statistics_pb2

from components.evaluation.predictions import (
    Head,
    PredictionRow,
    PredictionTable,
    write_predictions,
)
from components.evaluation.tasks.base import split_joined
from components.raster.errors import DataError
from pipelines.page.drift import feature_drift
from pipelines.page.evidence import EVIDENCE_FILE, PageEvidence, read_evidence, write_evidence
from pipelines.page.geojson import write_geojson
from pipelines.page.predicted import Choice, PredictionTally
from pipelines.page.scored import scored_curves


def row(key: str, truth: str, answer: str, confidence: float, **others) -> PredictionRow:
    right = float(truth == answer)
    known = {"score": right, "loss": -math.log(confidence if right else 1 - confidence)}
    return PredictionRow(key, truth=truth, answer=answer, confidence=confidence, **(known | others))


def test_the_worst_is_what_was_surest_and_wrong() -> None:
    rows = [
        row("sure", "a", "b", 0.9),
        row("right", "a", "a", 0.6),
        row("surer", "b", "a", 0.95),
        row("unsure", "a", "b", 0.51),
        PredictionRow("no truth", answer="a", confidence=0.1),
        PredictionRow("broken", truth="a", answer="b", score=math.nan, confidence=math.nan),
    ]
    tally = PredictionTally(("a", "b"), choice=Choice(worst=2, uncertain=2)).add_all(rows)
    assert [it.key for it in tally.worst] == ["surer", "sure"]
    assert [it.key for it in tally.uncertain] == ["unsure", "right"]


def test_numbers_are_worst_by_their_error() -> None:
    rows = [PredictionRow(f"{loss}", truth="1", answer="2", loss=loss) for loss in (0.5, 3e6, 1e6)]
    tally = PredictionTally((), split_joined).add_all(rows)
    assert [it.key for it in tally.worst] == ["3000000.0", "1000000.0", "0.5"]
    assert tally.confidence == ()


def test_a_sheet_has_some_of_each_class_and_the_same_in_any_order() -> None:
    rows = [row(f"{name}{index}", name, "a", 0.8) for index in range(9) for name in ("a", "b")]
    choice = Choice(of_class=3)
    found = PredictionTally(("a", "b", "c"), choice=choice).add_all(rows).sheet
    assert [(name, len(examples)) for name, examples in found] == [("a", 3), ("b", 3)]
    assert PredictionTally(("a", "b", "c"), choice=choice).add_all(rows[::-1]).sheet == found


def test_confidence_is_counted_apart_for_right_and_wrong_answers() -> None:
    rows = [row("1", "a", "a", 0.99), row("2", "a", "b", 0.97), row("3", "b", "b", 0.5)]
    bins = [
        it for it in PredictionTally(("a", "b")).add_all(rows).confidence if it.right or it.wrong
    ]
    assert [(round(it.low * 15), it.right, it.wrong) for it in bins] == [(7, 1, 0), (14, 1, 1)]


def test_curves_are_those_of_the_ranking() -> None:
    """By falling probability of a: a, b, a, b. So precision 1 and 2/3 at recalls 1/2 and 1."""
    truths = {0.9: "a", 0.7: "b", 0.4: "a", 0.2: "b"}
    rows = [row(f"{p}", truth, "a", 0.9, probabilities=[p, 1 - p]) for p, truth in truths.items()]
    curve = PredictionTally(("a", "b")).add_all(rows).curves[0]
    assert curve.average_precision == pytest.approx(1 / 2 + 1 / 2 * 2 / 3)
    assert curve.area == pytest.approx(3 / 4), "3 of the 4 pairs are in the right order"
    assert curve.rates == ((0, 0), (0, 0.5), (0.5, 0.5), (0.5, 1), (1, 1))
    assert curve.precision_recall[:3] == ((0.5, 1), (0.5, 0.5), (1, 0.6667))


def test_the_truth_may_be_several_classes() -> None:
    rows = [
        PredictionRow("x", truth="a; b", answer="a", score=0.5, probabilities=[0.9, 0.4, 0.1]),
        PredictionRow("y", truth="", answer="c", score=0.0, probabilities=[0.2, 0.1, 0.8]),
    ]
    tally = PredictionTally(("a", "b", "c"), split_joined).add_all(rows)
    assert [(it.name, it.positives, it.area) for it in tally.curves] == [("a", 1, 1), ("b", 1, 1)]
    assert [name for name, _ in tally.sheet] == [""], "an example belongs to no class alone"


def test_the_map_leaves_out_what_has_no_place_or_score() -> None:
    placed = {"longitude": 9.123456789, "latitude": 48.5}
    rows = [row("here", "a", "b", 0.9, **placed), row("nowhere", "a", "a", 0.9)]
    rows.append(PredictionRow("not judged", answer="a", **placed))
    tally = PredictionTally(("a", "b")).add_all(rows)
    assert (tally.place_count, [it.score for it in tally.places]) == (1, [0.0])
    file = io.StringIO()
    assert write_geojson(rows, file) == 1
    [feature] = json.loads(file.getvalue())["features"]
    assert feature["id"] == "here"
    assert feature["geometry"] == {"type": "Point", "coordinates": [9.1234568, 48.5]}
    assert feature["properties"]["truth"] == "a"


def test_the_feature_that_moved_furthest_comes_first() -> None:
    before = statistics(still=[5, 5], moved=[9, 1], text=None)
    after = statistics(still=[10, 10], moved=[1, 9], new=[1, 1])
    assert [it.name for it in feature_drift(before, after)] == ["moved", "still"]


def statistics(**counts: list[int] | None) -> statistics_pb2.DatasetFeatureStatisticsList:
    found = statistics_pb2.DatasetFeatureStatisticsList()
    dataset = found.datasets.add()
    for name, values in counts.items():
        feature = dataset.features.add()
        feature.path.step.append(name)
        if values is None:
            feature.string_stats.unique = 3
            continue
        histogram = feature.num_stats.histograms.add(type=statistics_pb2.Histogram.STANDARD)
        for index, count in enumerate(values):
            histogram.buckets.add(low_value=index, high_value=index + 1, sample_count=count)
    return found


def test_evidence_is_kept_beside_the_page(tmp_path: Path) -> None:
    assert read_evidence(str(tmp_path)) == PageEvidence()
    curves = PredictionTally(("a", "b")).add_all([row("1", "a", "a", 0.9)]).curves
    kept = PageEvidence(curves=curves, legend=(("a", "#ff0000"),), drift_of=("x", "y"))
    write_evidence(kept, str(tmp_path))
    assert read_evidence(str(tmp_path)) == kept
    (tmp_path / EVIDENCE_FILE).write_text("[]")
    with pytest.raises(DataError, match="is not the evidence of a page"):
        read_evidence(str(tmp_path))


def test_curves_of_boxes_are_those_of_the_ranked_detections_and_miss_what_is_not_found() -> None:
    """Two cars: one is found at 0.9; at 0.6 there is nothing; the other car is never found."""
    here, there = [0.0, 0.0, 8.0, 8.0], [20.0, 20.0, 28.0, 28.0]
    details = {
        "given_classes": [0, 0],
        "given_boxes": [*here, 40.0, 40.0, 48.0, 48.0],
        "found_classes": [0, 0],
        "found_boxes": [*here, *there],
        "found_scores": [0.9, 0.6],
    }
    file = io.BytesIO()
    rows = [PredictionRow("a.png", truth="car", details=details)]
    write_predictions(file, Head("detection", ("car", "boat")), rows)
    [car] = scored_curves(PredictionTable(file))
    assert (car.name, car.positives, car.rates) == ("car", 2, ())
    assert car.precision_recall == ((0.5, 1.0), (0.5, 0.5))
    assert car.average_precision == 0.5
