"""Truth of photographs beyond that of their records."""

from typing import Protocol

from components.ingest.records.record import Record
from components.ingest.records.reject import Reject
from components.raster.truth.value import Truth

_NONE = Truth()


class TruthReader(Protocol):
    """Finds the truth that a record itself does not hold: a mask or boxes."""

    def __call__(
        self, record: Record, mask: bytes | None, height: int, width: int
    ) -> Truth | Reject:
        """Returns the truth of an image of that shape, or a reject for an unusable image.

        Args:
            record: of the image.
            mask: the file that the record names, if it names one.
            height: of the image in pixels, after EXIF orientation.
            width: of the image in pixels.
        """
        ...


def of_record(record: Record, mask: bytes | None, height: int, width: int) -> Truth:
    """Returns no truth but the record's own: a `TruthReader`."""
    return _NONE
