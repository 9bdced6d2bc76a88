"""Truth of photographs, from masks or boxes."""

from collections.abc import Sequence

from components.ingest.boxed import box_reader
from components.ingest.config import IngestConfig
from components.ingest.masked import mask_reader
from components.ingest.record import Record
from components.ingest.reject import Reject
from components.ingest.truth import TileTruth


class TruthReader:
    """Finds the truth of photographs, whatever kind of source they have.

    Args:
        config: whose source it is.
        classes: class names in the order of their indices.

    Raises:
        ConfigError: a legend has a class that is not among these.
        DataError: boxes cannot be read.
    """

    def __init__(self, config: IngestConfig, classes: Sequence[str]) -> None:
        self._read_mask = mask_reader(config, classes)
        self._read_boxes = box_reader(config, classes)

    def __call__(
        self, record: Record, mask: bytes | None, height: int, width: int
    ) -> TileTruth | Reject:
        """Returns the truth of an image of that shape, or a reject for an unusable image.

        Args:
            mask: the file that the record names, if it names one.
        """
        if self._read_boxes is not None:
            boxes = self._read_boxes(record, height, width)
            return boxes if isinstance(boxes, Reject) else TileTruth(boxes=boxes)
        if self._read_mask is not None and mask is not None:
            pixels = self._read_mask(record, mask, height, width)
            return pixels if isinstance(pixels, Reject) else TileTruth(mask=pixels)
        return TileTruth()
