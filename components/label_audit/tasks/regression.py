"""Wrong numbers."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from components.label_audit.confident import deviating_numbers
from components.label_audit.issues import LabelIssue
from components.label_audit.tasks.base import AuditedTask

#: The label, and the model's number.
Item = tuple[float, float]


class Regression(AuditedTask[Item]):
    """Numbers whose errors are outliers."""

    def item(self, truth: Any, prediction: Any, classes: int) -> Item | None:
        return (float(truth), float(prediction)) if np.isfinite([truth, prediction]).all() else None

    def issues(
        self, keys: Sequence[str], items: Sequence[Item], classes: Sequence[str]
    ) -> list[LabelIssue]:
        given, predicted = np.array(items, np.float64).reshape(-1, 2).T
        suspicion = deviating_numbers(given, predicted)
        return [
            LabelIssue(
                key=keys[at],
                given=f"{given[at]:g}",
                suggested=f"{predicted[at]:g}",
                confidence=float(1 - 1 / (1 + suspicion[at])),
                suspicion=float(suspicion[at]),
            )
            for at in np.flatnonzero(suspicion).tolist()
        ]


TASK = Regression()
