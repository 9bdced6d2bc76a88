"""Wrong labels of images with several classes each, a class at a time."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from components.label_audit.confident import confident_presence
from components.label_audit.issues import SEVERAL, LabelIssue
from components.label_audit.tasks.base import AuditedTask
from components.raster.text import join_names

#: Presence of each class [K], and the probabilities [K].
Item = tuple[npt.NDArray[np.bool_], npt.NDArray[np.floating]]


class MultiLabel(AuditedTask[Item]):
    """A confident joint of presence and absence for each class."""

    def item(self, truth: Any, prediction: Any, classes: int) -> Item | None:
        probabilities = np.asarray(prediction, np.float64)[:classes]
        usable = bool(np.isfinite(probabilities).all())
        return (np.asarray(truth, bool)[:classes], probabilities) if usable else None

    def issues(
        self, keys: Sequence[str], items: Sequence[Item], classes: Sequence[str]
    ) -> list[LabelIssue]:
        if not items:
            return []
        given = np.stack([present for present, _ in items])
        probabilities = np.stack([it for _, it in items])
        suspicion = confident_presence(given, probabilities)
        found = []
        for at in np.flatnonzero(suspicion.max(axis=1) > 0).tolist():
            changed = suspicion[at] > 0
            likely = given[at] ^ changed
            sure = np.where(likely, probabilities[at], 1 - probabilities[at])[changed]
            found.append(
                LabelIssue(
                    key=keys[at],
                    given=_joined(given[at], classes),
                    suggested=_joined(likely, classes),
                    confidence=float(sure.max()),
                    suspicion=float(suspicion[at].max()),
                )
            )
        return found


def _joined(present: npt.NDArray[np.bool_], classes: Sequence[str]) -> str:
    return join_names((classes[at] for at in np.flatnonzero(present).tolist()), SEVERAL)


TASK = MultiLabel()
