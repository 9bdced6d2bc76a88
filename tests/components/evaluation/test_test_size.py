"""Thresholds that chance decides."""

import pytest

from components.evaluation.config import ChangeBounds, EvaluationConfig, Threshold
from components.evaluation.result import EvaluationResult, SliceMetrics
from components.evaluation.rules import judge
from components.evaluation.test_size import too_few_examples


def measured(right: int, examples: int, compared: bool = True) -> EvaluationResult:
    metrics = {"accuracy": right / examples, "example_count": float(examples)}
    item = SliceMetrics((), metrics, metrics if compared else None)
    served = ("a", "b") if compared else None
    return EvaluationResult("test", ("a", "b"), served, 1 if compared else None, (item,))


# Wilson's 95 % interval of 45 of 50 is 0.786 to 0.957 (Newcombe 1998, by its formula).
@pytest.mark.parametrize("bound", [0.79, 0.9, 0.95])
def test_a_bound_within_the_interval_is_undecided(bound: float) -> None:
    threshold = Threshold(metric="accuracy", at_least=bound)
    (text,) = too_few_examples([threshold], measured(45, 50))
    assert "between 0.786 and 0.957" in text
    assert "50 examples cannot tell" in text


@pytest.mark.parametrize("bound", [0.78, 0.96])
def test_a_bound_beside_the_interval_is_decided(bound: float) -> None:
    assert not [*too_few_examples([Threshold(metric="accuracy", at_least=bound)], measured(45, 50))]


def test_a_change_smaller_than_half_the_interval_is_undecided() -> None:
    threshold = Threshold(metric="accuracy", change=ChangeBounds(at_least=-0.02))
    (text,) = too_few_examples([threshold], measured(45, 50))
    assert "about 905 would do" in text  # 50 * (0.08506 / 0.02)**2
    assert not [*too_few_examples([threshold], measured(900, 1000))]
    assert not [*too_few_examples([threshold], measured(45, 50, compared=False))]


def test_metrics_without_an_interval_are_passed_over() -> None:
    threshold = Threshold(metric="log_loss", at_most=0.5)
    assert not [*too_few_examples([threshold], measured(45, 50))]


def test_the_report_lists_them() -> None:
    config = EvaluationConfig(thresholds=(Threshold(metric="accuracy", at_least=0.9),))
    assert len(judge(config, measured(45, 50)).facts["too_few_examples"]) == 1
    assert "too_few_examples" not in judge(config, measured(990, 1000)).facts
