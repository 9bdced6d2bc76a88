"""Comparison of two models on the same examples, against formulas."""

import math

import numpy as np
import pytest
from pydantic import ValidationError

from components.evaluation.config import EvaluationConfig
from components.evaluation.paired import PairedChange, mcnemar, paired_change
from components.evaluation.predictions import PredictionRow
from components.evaluation.result import EvaluationResult, SliceMetrics
from components.evaluation.rules import judge
from components.evaluation.tasks.bootstrap import seed_of
from components.evaluation.tasks.single_label import TASK, Tally


def counted(right: np.ndarray, seeds: list[int]) -> Tally:
    tally = Tally.empty(2)
    for is_right, seed in zip(right, seeds, strict=True):
        tally.add(0, np.array([is_right, not is_right], float), seed)
    return tally


def change_of(candidate: np.ndarray, baseline: np.ndarray, seeds: list[int]) -> PairedChange:
    replicates = [
        TASK.replicated(counted(right, seeds)).headline for right in (candidate, baseline)
    ]
    found = paired_change(candidate.mean() - baseline.mean(), *replicates, (0.95,))
    assert found is not None
    return found


def models() -> tuple[np.ndarray, np.ndarray]:
    """800 examples: the candidate alone is right on 40, the other alone on 24."""
    right = np.zeros((2, 800), bool)
    right[:, :600] = True
    right[0, 600:640] = right[1, 640:664] = True
    return right[0], right[1]


def test_the_interval_of_a_paired_difference_is_about_the_normal_approximation() -> None:
    found = change_of(*models(), list(range(800)))
    assert found.difference == pytest.approx(0.02)
    deviation = math.sqrt(40 + 24 - 16**2 / 800) / 800
    low, high = found.bounds[0.95]
    assert low == pytest.approx(0.02 - 1.645 * deviation, abs=0.4 * deviation)
    assert high == pytest.approx(0.02 + 1.645 * deviation, abs=0.4 * deviation)
    assert PairedChange.of(found.document()) == found


def test_copies_within_groups_make_no_difference_surer() -> None:
    candidate, baseline = (right[::8] for right in models())
    groups = [seed_of(b"", str(number)) for number in range(100)]
    copies = change_of(np.tile(candidate, 5), np.tile(baseline, 5), groups * 5)
    once = change_of(candidate, baseline, groups)
    assert copies.bounds[0.95] == pytest.approx(once.bounds[0.95])


def test_mcnemar_is_exact() -> None:
    """Twelve examples set the models apart, two of them against the candidate."""
    scores = [(1.0, 0.0)] * 10 + [(0.5, 1.0)] * 2 + [(1.0, 1.0)] * 70 + [(0.0, 0.0), (None, None)]
    found = mcnemar(
        PredictionRow(str(n), score=a, baseline_score=b) for n, (a, b) in enumerate(scores)
    )
    assert (found.only_candidate, found.only_baseline) == (10, 2)
    assert found.p_value == pytest.approx(2 * (1 + 12 + 66) / 2**12)
    assert mcnemar([]).p_value == 1


@pytest.mark.parametrize(
    ("bound", "passed", "message"),
    [
        ({"at_least": -0.01}, False, "at least -0.0123, below -0.01"),
        ({"at_least": -0.02}, True, "at least -0.0123"),
        ({"at_most": 0.01}, False, "at most 0.0203, above 0.01"),
    ],
)
def test_a_threshold_may_ask_for_confidence(bound: object, passed: bool, message: str) -> None:
    metrics = {"accuracy": 0.924, "example_count": 288.0, "group_count": 31.0}
    change = PairedChange(0.004, {0.95: (-0.0123, 0.0203), 0.975: (-0.02, 0.03)})
    item = SliceMetrics((), metrics, metrics | {"accuracy": 0.92}, change=change)
    evaluation = EvaluationResult("test", ("a", "b"), ("a", "b"), 3, (item,))
    threshold = {"metric": "accuracy", "change": {**bound, "confidence": 0.95}}  # type: ignore
    config = EvaluationConfig.model_validate({"thresholds": [threshold]})
    assert config.confidences == (0.95,)
    for one in (evaluation, EvaluationResult.from_json(evaluation.to_json())):
        report = judge(config, one)
        [finding] = report.findings
        assert finding.passed is passed
        assert "change of accuracy on overall (n=288) is 0.004; with 95 % confidence, over 31 " in (
            finding.detail
        )
        assert message in finding.detail
        assert report.facts["accuracy_change"]["interval"] == [-0.02, 0.03]  # type: ignore


def test_too_few_units_for_a_bound_block_unless_allowed() -> None:
    metrics = {"accuracy": 0.9, "example_count": 288.0, "group_count": 3.0}
    item = SliceMetrics((), metrics, metrics)
    evaluation = EvaluationResult("test", ("a", "b"), ("a", "b"), 3, (item,))
    asked = {"thresholds": [{"metric": "accuracy", "change": {"at_least": 0, "confidence": 0.9}}]}
    [finding] = judge(EvaluationConfig.model_validate(asked), evaluation).findings
    assert not finding.passed
    assert "3 independent groups are too few" in finding.detail
    allowed = EvaluationConfig.model_validate({**asked, "allow": ["nan:accuracy"]})
    assert judge(allowed, evaluation).passed


@pytest.mark.parametrize(
    ("metric", "more", "message"),
    [("log_loss", {}, "only the main metric"), ("accuracy", {"relative": True}, "leave out")],
)
def test_confidence_is_of_a_difference_in_the_main_metric(
    metric: str, more: dict[str, bool], message: str
) -> None:
    change = {"at_most": 0.1, "confidence": 0.95, **more}
    with pytest.raises(ValidationError, match=message):
        EvaluationConfig.model_validate({"thresholds": [{"metric": metric, "change": change}]})
