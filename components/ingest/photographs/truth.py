"""Truth of photographs beside that in their records."""

from typing import Protocol

from components.ingest.records.record import Record
from components.ingest.records.reject import Reject
from components.raster.truth.value import Truth

_NONE = Truth()


class TruthReader(Protocol):
    """Finds truth that is not part of a record: a mask or boxes."""

    def __call__(
        self, record: Record, mask: bytes | None, height: int, width: int
    ) -> Truth | Reject:
        """Returns the truth of an image of that shape, or a reject for an unusable image.

        Args:
            record: of the image.
            mask: content of the file that the record names, if it names one.
            height: of the image in pixels, after EXIF orientation.
            width: of the image in pixels.
        """
        ...


def of_record(record: Record, mask: bytes | None, height: int, width: int) -> Truth:
    """Returns only the record's own truth: a `TruthReader`."""
    return _NONE
