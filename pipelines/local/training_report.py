"""Reports that a training leaves beside its logs."""

import json
import os
from typing import Any


def read_training_report(model_run: str, name: str) -> dict[str, Any] | None:
    """Reads a JSON report in a ModelRun artifact's folder; None where the training wrote none."""
    path = os.path.join(model_run, "logs", name)
    if not os.path.exists(path):
        return None
    with open(path, encoding="utf-8") as file:
        found: dict[str, Any] = json.load(file)
    return found
