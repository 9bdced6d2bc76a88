"""Wrong boxes: objects that are missing, spurious, or of another class."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from components.label_audit.issues import LabelIssue
from components.label_audit.objects import Objects, suspect_objects
from components.label_audit.tasks.base import AuditedTask

_SIDES = ("given", "found")


class Detection(AuditedTask[Objects]):
    """Boxes of the label against those that the model found."""

    def item(self, truth: Any, prediction: Any, classes: int) -> Objects | None:
        given, found = (np.array(prediction[f"{side}_classes"], np.int64) for side in _SIDES)
        boxes, detections = (
            np.array(prediction[f"{side}_boxes"], np.float64).reshape(-1, 4) for side in _SIDES
        )
        known, named = given < classes, found < classes
        return Objects(
            given=boxes[known],
            given_classes=given[known],
            found=detections[named],
            found_classes=found[named],
            scores=np.array(prediction["found_scores"], np.float64)[named],
        )

    def issues(
        self, keys: Sequence[str], items: Sequence[Objects], classes: Sequence[str]
    ) -> list[LabelIssue]:
        return [
            LabelIssue(
                key=keys[it.image],
                given="" if it.given is None else classes[it.given],
                suggested="" if it.likely is None else classes[it.likely],
                confidence=it.confidence,
                suspicion=it.confidence,
                detail=f"{it.kind}: box {', '.join(f'{edge:.0f}' for edge in it.box)}",
            )
            for it in suspect_objects(items, len(classes))
        ]


TASK = Detection()
