"""Accepted and refused configurations of an evaluation."""

from typing import Any

import pytest
from pydantic import ValidationError

from components.evaluation.config import EvaluationConfig


def test_a_configuration_as_users_write_it() -> None:
    config = EvaluationConfig.model_validate(
        {
            "slices": ["region", ["season", "region"]],
            "thresholds": [
                {"metric": "accuracy", "at_least": 0.8},
                {"metric": "recall/*", "slice": "season=dry, region", "at_least": 0.5},
                {"metric": "log_loss", "change": {"at_most": 0.1, "relative": True}},
            ],
            "allow": ["missing_baseline", "missing_slice:region=north", "nan:log_loss@overall"],
        }
    )
    assert config.slices == (("region",), ("region", "season"))
    assert config.slice_features == ("region", "season")
    assert config.thresholds[1].slice == "region,season=dry"
    assert EvaluationConfig.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"thresholds": [{"metric": "acuracy", "at_least": 1}]}, "unknown metric 'acuracy'"),
        ({"thresholds": [{"metric": "recall/", "at_least": 1}]}, "unknown metric"),
        ({"thresholds": [{"metric": "miou", "at_least": 1}]}, "for segmentation: mean_iou"),
        ({"score_threshold": 1.5}, "less than or equal to 1"),
        ({"thresholds": [{"metric": "accuracy"}]}, "at_least, at_most or both"),
        (
            {"thresholds": [{"metric": "accuracy", "at_least": 0.9, "at_most": 0.1}]},
            "nothing can pass",
        ),
        ({"thresholds": [{"metric": "accuracy", "change": {}}]}, "at_least, at_most or both"),
        ({"thresholds": [{"metric": "accuracy", "at_least": float("nan")}]}, "finite"),
        (
            {"thresholds": [{"metric": "accuracy", "at_least": 0.9, "slice": "region"}]},
            "slices has no",
        ),
        ({"slices": [["region", "region"]]}, "with itself"),
        ({"slices": ["corruption"]}, "names the slices of evaluation.corruptions"),
        ({"slices": [[]]}, "at least 1 item"),
        ({"bins": {"image/brightness": [1]}}, "bins has"),
        ({"slices": ["b"], "bins": {"b": [2, 1]}}, "ascending"),
        ({"allow": ["everything"]}, "cannot be allowed"),
        ({"allow": ["nan"]}, "cannot be allowed"),
        ({"allow": ["missing_baseline:x"]}, "cannot be allowed"),
        ({"treshold": []}, "Extra inputs"),
    ],
)
def test_what_cannot_be_is_refused(tree: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        EvaluationConfig.model_validate(tree)


def test_the_metrics_that_a_task_does_not_have_are_reported() -> None:
    names = ("recall/roof", "mean_iou", "accuracy", "iou/*", "mean_iou", "example_count")
    config = EvaluationConfig.model_validate(
        {"thresholds": [{"metric": name, "at_least": 0.1} for name in names]}
    )
    assert config.wrong_metrics("segmentation") == ("accuracy",)
    assert config.wrong_metrics("single_label") == ("mean_iou", "iou/*")
    assert config.wrong_metrics("regression") == (
        "recall/roof",
        "mean_iou",
        "accuracy",
        "iou/*",
    )
