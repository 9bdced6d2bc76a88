"""Wrong areas of class masks."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from components.label_audit.issues import LabelIssue
from components.label_audit.pixels import suspect_areas
from components.label_audit.tasks.base import AuditedTask
from components.raster.pixel_tally import PixelTally


class Segmentation(AuditedTask[PixelTally]):
    """Areas of a class that the model confidently gives another one, by tallies of pixels."""

    def item(self, truth: Any, prediction: Any, classes: int) -> PixelTally | None:
        tally = PixelTally(
            np.array(prediction["pixel_cells"], np.int64),
            np.array(prediction["pixel_counts"], np.int64),
        )
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
