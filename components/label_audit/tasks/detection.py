"""Wrong boxes: objects that are missing, spurious, or of another class."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy.typing as npt

from components.label_audit.issues import LabelIssue
from components.label_audit.objects import Objects, suspect_objects
from components.label_audit.tasks.base import AuditedTask


class Detection(AuditedTask[Objects]):
    """Boxes of the label against those that the model found."""

    def item(
        self, truth: Any, prediction: Any, answer: Mapping[str, npt.NDArray[Any]], classes: int
    ) -> Objects | None:
        known, named = truth["classes"] < classes, prediction["classes"] < classes
        return Objects(
            given=truth["boxes"][known],
            given_classes=truth["classes"][known],
            found=prediction["boxes"][named],
            found_classes=prediction["classes"][named],
            scores=prediction["scores"][named],
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
