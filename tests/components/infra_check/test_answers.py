"""Agreement of a server's answers with the model's, and the form of the inputs."""

import math

import pytest

from components.infra_check.agreement import disagreement
from components.infra_check.answers import chunks
from serving.tasks.single_label.answer import Prediction

WANTED = [Prediction("a", {"a": 0.7, "b": 0.3}, None)]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ([Prediction("a", {"a": 0.70005, "b": 0.29995}, None)], ""),
        ([], "0 answers to 1 images"),
        ([Prediction("a", {"a": 0.69, "b": 0.31}, None)], "differs by 0.01"),
        ([Prediction("a", {"a": math.nan, "b": 0.3}, None)], "differs by nan"),
        ([Prediction("a", {"b": 0.7, "a": 0.3}, None)], "classes"),
        ([Prediction("b", {"a": 0.7, "b": 0.3}, None)], "'b' is not the most probable"),
        ([Prediction("c", {"a": 0.7, "b": 0.3}, None)], "'c' is not the most probable"),
    ],
)
def test_disagreement(given: list[Prediction], reason: str) -> None:
    found = disagreement(WANTED, given, tolerance=1e-4)
    assert found == "" if not reason else reason in found


def test_classes_with_nearly_equal_probabilities_may_change_places() -> None:
    wanted = [Prediction("a", {"a": 0.50001, "b": 0.49999}, None)]
    assert not disagreement(wanted, [Prediction("b", {"a": 0.49999, "b": 0.50001}, None)], 1e-4)


def test_requests_are_small_in_number_and_in_bytes() -> None:
    assert [len(chunk) for chunk in chunks([b"x"] * 20)] == [8, 8, 4]
    large = bytes(1_500_000)
    assert [len(chunk) for chunk in chunks([large, large, b"x", bytes(9_000_000)])] == [1, 2, 1]
    assert list(chunks([])) == []
