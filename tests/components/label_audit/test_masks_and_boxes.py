"""Suspects among masks and boxes, by hand, and the file of issues."""

import numpy as np
import pytest

from components.label_audit.issues import LabelIssue, by_suspicion, read_issues, write_issues
from components.label_audit.objects import Objects, suspect_objects
from components.label_audit.pixels import suspect_areas
from components.raster.errors import DataError
from components.raster.pixel_tally import pixel_tally


def test_an_area_of_another_class_is_found_with_its_share():
    true = np.zeros((20, 20), np.int64)
    true[:, 10:] = 1
    sure = np.full((20, 20), 0.9)
    given = true.copy()
    given[:5, 10:] = 0  # 50 of 400 pixels labelled 0 are 1
    given[19] = -1  # no truth
    unsure = true.copy()
    unsure[:4] = 1 - unsure[:4]
    tallies = [
        pixel_tally(given, true, sure, 2),
        pixel_tally(true, true, sure, 2),
        pixel_tally(true, unsure, np.where(unsure == true, 0.9, 0.55), 2),
    ]
    (area,) = suspect_areas(tallies, 2)
    assert (area.image, area.given, area.likely) == (0, 0, 1)
    assert area.share == pytest.approx(50 / 380)
    assert area.confidence == pytest.approx(0.9, abs=0.02)


def boxes(*edges):
    return np.array(edges, np.float64).reshape(-1, 4)


def test_missing_spurious_and_mistaken_objects_are_told_apart():
    here, there, yonder = (0, 0, 10, 10), (50, 50, 60, 60), (80, 0, 90, 10)
    right = Objects(boxes(here), np.array([0]), boxes(here), np.array([0]), np.array([0.8]))
    other = Objects(boxes(there), np.array([1]), boxes(there), np.array([1]), np.array([0.8]))
    mixed = Objects(
        given=boxes(here, yonder),
        given_classes=np.array([1, 0]),  # the first is a 0; the second is not there
        found=boxes(here, there, (20, 20, 30, 30)),
        found_classes=np.array([0, 0, 0]),
        scores=np.array([0.95, 0.9, 0.3]),  # the last one is too uncertain to count
    )
    found = suspect_objects([right, other, mixed], 2)
    assert [(it.image, it.kind, it.given, it.likely) for it in found] == [
        (2, "spurious", 0, None),
        (2, "class", 1, 0),
        (2, "missing", None, 0),
    ]
    assert found[0].box == yonder


def test_issues_are_read_back_sorted_by_suspicion(tmp_path):
    rows = [LabelIssue("a", "x", "y", 0.5, 0.25), LabelIssue("b", "x|z", "x", 0.75, 0.5, "there")]
    path = tmp_path / "label_issues.parquet"
    write_issues(path, by_suspicion(rows))
    assert read_issues(path) == rows[::-1]
    path.write_bytes(b"no parquet")
    with pytest.raises(DataError, match="skymill labels audit"):
        read_issues(path)
