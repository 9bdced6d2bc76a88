"""Every rule of the data gate, passing and blocking."""

from collections.abc import Callable
from typing import Any

import pytest
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2

from components.data_check.check import SplitData, check_data
from components.data_check.config import DataCheckConfig, FeatureThresholds
from components.gate.report import Finding, GateReport
from components.schema.infer import infer

Rows = Callable[..., list[dict[str, Any]]]
Split = Callable[..., SplitData]


@pytest.fixture
def schema(rows: Rows, statistics_of: Any) -> schema_pb2.Schema:
    return infer(statistics_of(rows(600)))


def failed(report: GateReport, subject: str) -> Finding:
    """The only failed finding, which must be about `subject`."""
    (finding,) = report.failed
    assert finding.subject == subject
    assert finding.gate == "data"
    return finding


def test_good_data_passes_and_says_what_was_looked_at(
    rows: Rows, split: Split, schema: schema_pb2.Schema, statistics_of: Any
) -> None:
    splits = [
        split("train", rows(600, 1), schema),
        split("eval", rows(300, 2), schema),
        split("test", rows(300, 3), schema),
    ]

    report = check_data(splits, schema, statistics_of(rows(500, 4)), DataCheckConfig())

    assert report.passed
    assert report.facts["examples"] == {"train": 600, "eval": 300, "test": 300}
    looked_at = {(finding.rule, finding.subject) for finding in report.findings}
    assert {("drift", "image/brightness"), ("skew", "label/text")} <= looked_at
    assert ("matches the schema", "split test") in looked_at
    assert not any(subject.startswith("slice/") for _, subject in looked_at)


@pytest.mark.parametrize(
    ("feature", "value", "rule", "words"),
    [
        ("label/text", "Lake", "ENUM_TYPE_UNEXPECTED_STRING_VALUES", "'Lake'"),
        ("image/brightness", 300.0, "FLOAT_TYPE_BIG_FLOAT", "300"),
        ("image/brightness", -4.0, "FLOAT_TYPE_SMALL_FLOAT", "-4"),
        ("image/brightness", float("nan"), "FLOAT_TYPE_HAS_NAN", "nan"),
        ("label", 9, "INT_TYPE_BIG_INT", "9"),
        ("label", None, "FEATURE_TYPE_LOW_FRACTION_PRESENT", "missing"),
        ("label", [1, 2], "INVALID_FEATURE_SHAPE", "2 values"),
        ("surprise", "x", "SCHEMA_NEW_COLUMN", "'x'"),
    ],
)
def test_an_anomaly_names_feature_rule_and_the_offending_examples(
    rows: Rows,
    split: Split,
    schema: schema_pb2.Schema,
    feature: str,
    value: Any,
    rule: str,
    words: str,
) -> None:
    wrong = rows(120)
    for index in (17, 90):
        if value is None:
            del wrong[index][feature]
        else:
            wrong[index][feature] = value

    report = check_data([split("train", wrong, schema)], schema, None, DataCheckConfig())

    assert {finding.subject for finding in report.failed} == {feature}
    (finding,) = (finding for finding in report.failed if rule in finding.rule)
    assert "split train" in finding.detail
    for index in (17, 90):
        assert f"{wrong[index]['image/key']} ({words})" in finding.detail
    assert wrong[18]["image/key"] not in finding.detail


def test_a_lost_feature_blocks(rows: Rows, split: Split, schema: schema_pb2.Schema) -> None:
    without = [{k: v for k, v in row.items() if k != "image/brightness"} for row in rows(120)]
    report = check_data([split("train", without, schema)], schema, None, DataCheckConfig())
    assert "Forest/0000.jpg (missing)" in failed(report, "image/brightness").detail


def test_names_as_many_examples_as_asked_for(
    rows: Rows, split: Split, schema: schema_pb2.Schema
) -> None:
    wrong = [{**row, "label/text": "Lake"} for row in rows(200)]
    splits = [split("train", wrong, schema)]

    few = check_data(splits, schema, None, DataCheckConfig(examples_named=3))
    none = check_data(splits, schema, None, DataCheckConfig(examples_named=0))
    early = check_data(splits, schema, None, DataCheckConfig(examples_scanned=1))

    assert failed(few, "label/text").detail.count("('Lake')") == 3
    assert "Offending" not in failed(none, "label/text").detail
    assert failed(early, "label/text").detail.count("('Lake')") == 1


def test_an_ignored_feature_stops_nothing_but_is_still_reported(
    rows: Rows, split: Split, schema: schema_pb2.Schema
) -> None:
    wrong = [{**row, "label/text": "Lake"} for row in rows(120)]
    splits = [split("train", wrong, schema)]

    report = check_data(splits, schema, None, DataCheckConfig(ignore=("label/text",)))

    assert report.passed
    assert "label/text" in str(report.facts["anomalies_let_pass"])


@pytest.mark.parametrize(("severity", "passes"), [("error", True), ("warning", False)])
def test_severity_decides_what_stops(
    rows: Rows, split: Split, schema: schema_pb2.Schema, severity: Any, passes: bool
) -> None:
    wrong = [{**row, "label/text": "Lake"} for row in rows(120)]
    data = split("train", wrong, schema)
    data.anomalies.anomaly_info["label/text"].severity = anomalies_pb2.AnomalyInfo.WARNING

    report = check_data([data], schema, None, DataCheckConfig(severity=severity))

    assert report.passed is passes


def test_a_split_without_statistics_or_examples_blocks(
    rows: Rows, split: Split, schema: schema_pb2.Schema
) -> None:
    train = split("train", rows(120), schema)
    absent = SplitData("eval", None, anomalies_pb2.Anomalies())
    empty = split("eval", [], schema)

    assert (
        "no statistics"
        in failed(check_data([train, absent], schema, None, DataCheckConfig()), "split eval").detail
    )
    report = check_data([train, empty], schema, None, DataCheckConfig())
    assert {finding.subject for finding in report.failed} == {"split eval"}
    assert any("0 examples" in finding.detail for finding in report.failed)


def test_drift_blocks_and_names_feature_value_and_bound(
    rows: Rows, split: Split, schema: schema_pb2.Schema, statistics_of: Any
) -> None:
    splits = [split("train", rows(600, brightness=150), schema)]
    baseline = statistics_of(rows(600))

    finding = failed(check_data(splits, schema, baseline, DataCheckConfig()), "image/brightness")

    assert finding.rule == "drift"
    assert "at most 0.1" in finding.detail
    looser = FeatureThresholds(drift_threshold=1)
    config = DataCheckConfig(per_feature={"image/brightness": looser})
    assert check_data(splits, schema, baseline, config).passed


def test_skew_between_splits_blocks_numbers_and_categories(
    rows: Rows, split: Split, schema: schema_pb2.Schema
) -> None:
    train = split("train", rows(600), schema)
    dark = split("test", rows(300, 5, brightness=60), schema)
    one_class = split("eval", [row for row in rows(900) if row["label"] == 2], schema)

    report = check_data([train, dark, one_class], schema, None, DataCheckConfig())

    assert {(f.rule, f.subject, f.detail.split(" split ")[0]) for f in report.failed} == {
        ("skew", "image/brightness", "The divergence of the test"),
        ("skew", "label", "The divergence of the eval"),
        ("skew", "label/text", "The divergence of the eval"),
    }


def test_slice_features_are_compared_only_when_named(
    rows: Rows, split: Split, schema: schema_pb2.Schema
) -> None:
    splits = [
        split("train", [row for row in rows(600) if row["slice/region"] == "r0"], schema),
        split("eval", [row for row in rows(600) if row["slice/region"] == "r1"], schema),
    ]

    named = DataCheckConfig(per_feature={"slice/region": FeatureThresholds()})

    assert check_data(splits, schema, None, DataCheckConfig()).passed
    assert failed(check_data(splits, schema, None, named), "slice/region").rule == "skew"


def test_without_a_baseline_drift_is_a_fact_and_no_failure(
    rows: Rows, split: Split, schema: schema_pb2.Schema
) -> None:
    report = check_data([split("train", rows(120), schema)], schema, None, DataCheckConfig())
    assert report.passed
    assert report.facts["not_compared"] == ["drift: no version with statistics is being served"]


def test_too_few_examples_are_not_compared_and_that_is_said(
    rows: Rows, split: Split, schema: schema_pb2.Schema
) -> None:
    splits = [
        split("train", rows(600), schema),
        split("eval", rows(60, brightness=60), schema),
    ]

    small = check_data(splits, schema, None, DataCheckConfig(min_examples=61))
    enough = check_data(splits, schema, None, DataCheckConfig(min_examples=60))

    assert small.passed
    assert "60 examples are fewer than min_examples, 61" in str(small.facts["not_compared"])
    assert failed(enough, "image/brightness").rule == "skew"


def test_what_cannot_be_compared_blocks_unless_ignored(
    rows: Rows, split: Split, schema: schema_pb2.Schema, statistics_of: Any
) -> None:
    splits = [split("train", rows(300), schema)]
    lost = statistics_of([{**row, "image/sharpness": 3.0} for row in rows(300)])
    blind = statistics_of([{**row, "image/brightness": float("nan")} for row in rows(300)])

    def check(baseline: Any, **changes: Any) -> GateReport:
        return check_data(splits, schema, baseline, DataCheckConfig(**changes))

    assert "no value of it" in failed(check(lost), "image/sharpness").detail
    assert "no finite value" in failed(check(blind), "image/brightness").detail
    assert check(lost, ignore=("image/sharpness",)).passed


def test_a_new_feature_is_no_drift(rows: Rows, split: Split, statistics_of: Any) -> None:
    grown = [{**row, "image/sharpness": float(index)} for index, row in enumerate(rows(300))]
    schema = infer(statistics_of(grown))

    report = check_data(
        [split("train", grown, schema)], schema, statistics_of(rows(300)), DataCheckConfig()
    )

    assert report.passed
    assert any("It is new" in finding.detail for finding in report.findings)
