"""Truth of photographs, from masks or boxes."""

from collections.abc import Sequence

from components.ingest.config import SourceConfig
from components.ingest.photographs.boxes import BoxReader
from components.ingest.photographs.config import BoxedSource, MaskLegend
from components.ingest.photographs.masks import MaskReader
from components.ingest.records.record import Record
from components.ingest.records.reject import Reject
from components.ingest.records.truth import TileTruth


class TruthReader:
    """Finds the truth of photographs, whatever kind of source they have.

    Args:
        source: of photographs.
        classes: class names in the order of their indices.

    Raises:
        ConfigError: a legend has a class that is not among these.
        DataError: boxes cannot be read.
    """

    def __init__(self, source: SourceConfig, classes: Sequence[str]) -> None:
        self._read_mask = None
        if isinstance(source, MaskLegend) and source.legend is not None:
            self._read_mask = MaskReader(source, classes)
        self._read_boxes = BoxReader(source, classes) if isinstance(source, BoxedSource) else None

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
