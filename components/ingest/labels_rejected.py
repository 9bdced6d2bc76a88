"""A scene that its labels do not fit."""

from components.ingest.reject import Reason
from components.raster.errors import DataError


class LabelsRejected(DataError):
    """A scene has no mask or boxes that could be laid on it."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
