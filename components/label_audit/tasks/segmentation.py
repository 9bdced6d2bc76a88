"""Wrong areas of class masks."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy.typing as npt

from components.label_audit.issues import LabelIssue
from components.label_audit.pixels import PixelTally, pixel_tally, suspect_areas
from components.label_audit.tasks.base import AuditedTask
from serving.tasks.segmentation.answer import CONFIDENCE_OUTPUT


class Segmentation(AuditedTask[PixelTally]):
    """Areas of a class that the model confidently gives another one, by tallies of pixels."""

    def item(
        self, truth: Any, prediction: Any, answer: Mapping[str, npt.NDArray[Any]], classes: int
    ) -> PixelTally | None:
        tally = pixel_tally(truth, prediction, answer[CONFIDENCE_OUTPUT], classes)
        return tally if tally.pixels else None

    def issues(
        self, keys: Sequence[str], items: Sequence[PixelTally], classes: Sequence[str]
    ) -> list[LabelIssue]:
        return [
            LabelIssue(
                key=keys[area.image],
                given=classes[area.given],
                suggested=classes[area.likely],
                confidence=area.confidence,
                suspicion=area.share * area.confidence,
                detail=f"{area.share:.1%} of the pixels",
            )
            for area in suspect_areas(items, len(classes))
        ]


TASK = Segmentation()
