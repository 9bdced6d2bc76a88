"""Report on the temperature scaling of a training."""

from typing import Any

from pipelines.local.training_report import read_training_report


def read_temperature(model_run: str) -> dict[str, Any] | None:
    """Reads the report in a ModelRun artifact's folder; None where scaling was not requested."""
    return read_training_report(model_run, "temperature.json")


def temperature_line(found: dict[str, Any]) -> str:
    """Describes the fitted temperature and the decision about it, in one line."""
    text = (
        f"temperature {found['temperature']:.3g}: log loss on eval {found['before']:.4g} to "
        f"{found['after']:.4g}"
    )
    if found["interval"] is None:
        return f"{text}; not served, {found['units']} independent examples or groups are too few"
    low, high = found["interval"]
    if found["served"]:
        decision = "served"
    elif high < 0:
        decision = "not served, the loss has no minimum, as on a split without errors"
    else:
        decision = "not served, the fall may be chance"
    return f"{text} (change {low:.2g} to {high:.2g}, 95 %); {decision}"
