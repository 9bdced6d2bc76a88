"""Gates that block a run with too little to learn from."""

import pytest

from components.ingest.records.summary import IngestSummary, rejects_report

COUNTS = dict.fromkeys(("train", "eval", "test"), 10)


def failed(classes, task):
    report = rejects_report(IngestSummary(images=COUNTS), 0.05, classes, "f", task)
    return [(finding.rule, finding.subject) for finding in report.failed]


@pytest.mark.parametrize("task", ["single_label", "segmentation"])
def test_one_class_alone_blocks_where_classes_are_told_apart(task):
    assert failed(("forest",), task) == [("two_classes", "forest")]
    assert failed(("forest", "water"), task) == []


@pytest.mark.parametrize("task", ["multi_label", "detection"])
def test_one_class_that_is_there_or_not_can_be_learnt(task):
    assert failed(("forest",), task) == []


def test_numbers_need_no_class():
    assert failed((), "regression") == []
