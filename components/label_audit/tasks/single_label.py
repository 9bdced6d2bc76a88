"""Wrong labels of images with one class each."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from components.label_audit.confident import confident_classes
from components.label_audit.issues import LabelIssue
from components.label_audit.tasks.base import AuditedTask

#: The label's index, and the probabilities [K].
Item = tuple[int, npt.NDArray[np.floating]]


class SingleLabel(AuditedTask[Item]):
    """The confident joint of all examples."""

    def item(self, truth: Any, prediction: Any, classes: int) -> Item | None:
        probabilities = np.asarray(prediction, np.float64)[:classes]
        usable = 0 <= truth < classes and np.isfinite(probabilities).all()
        return (int(truth), probabilities) if usable else None

    def issues(
        self, keys: Sequence[str], items: Sequence[Item], classes: Sequence[str]
    ) -> list[LabelIssue]:
        if not items:
            return []
        given = np.array([label for label, _ in items])
        found = confident_classes(given, np.stack([probabilities for _, probabilities in items]))
        return [
            LabelIssue(
                key=keys[at],
                given=classes[given[at]],
                suggested=classes[found.likely[at]],
                confidence=float(found.confidence[at]),
                suspicion=float(found.suspicion[at]),
            )
            for at in found.suspects.tolist()
        ]


TASK = SingleLabel()
