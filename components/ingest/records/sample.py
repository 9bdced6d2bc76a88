"""An example before it is encoded, for people to look at."""

from dataclasses import dataclass

from components.ingest.records.record import Record
from components.raster.tiles.valid_mask import Mask, Pixels
from components.raster.truth.value import Truth


@dataclass(frozen=True, eq=False)
class Sample:
    """One example before it is encoded; `valid` is None for photographs."""

    record: Record
    pixels: Pixels
    valid: Mask | None
    truth: Truth
