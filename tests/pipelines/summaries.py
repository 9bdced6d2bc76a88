"""Values in the JSON summary of a run."""

from typing import Any


def overall_metrics(summary: dict[str, Any]) -> dict[str, float]:
    """The candidate's metrics over all of the test split, by name."""
    [overall] = [s for s in summary["metrics"]["slices"] if s["slice"] == "overall"]
    metrics: dict[str, float] = overall["candidate"]
    return metrics
