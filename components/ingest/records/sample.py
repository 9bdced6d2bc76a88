"""An example before it is encoded, for people to look at."""

from dataclasses import dataclass

from components.ingest.records.record import Record
from components.ingest.records.truth import Truth
from components.raster.tiles.valid_mask import Mask, Pixels


@dataclass(frozen=True, eq=False)
class Sample:
    """One example before it is encoded; `valid` is None for photographs."""

    record: Record
    pixels: Pixels
    valid: Mask | None
    truth: Truth
