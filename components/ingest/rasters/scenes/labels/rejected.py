"""Error for a scene without usable labels."""

from components.ingest.records.reject import Reason
from components.raster.errors import DataError


class LabelsRejected(DataError):
    """A scene has no mask or boxes that fit it."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
