"""Outcomes of items that a worker reads: an example, encoded or not, or nothing."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from components.ingest.records.record import Record
from components.raster.tiles.valid_mask import Mask, Pixels
from components.raster.truth.value import Truth


class Accepted(NamedTuple):
    """An image that the served graph accepts; `pixels` is uint8 [height, width, 3] or None."""

    format: str
    height: int
    width: int
    channels: int
    pixels: npt.NDArray[np.uint8] | None


class Converted(NamedTuple):
    """One example: its split, its serialized tf.Example, and the classes to count it for:
    those that the record names, or that occur in its mask or boxes. Copies share a digest.
    `lonlat` is its centre in degrees, if known."""

    record: Record
    split: str
    digest: bytes
    example: bytes
    names: tuple[str, ...]
    lonlat: tuple[float, float] | None = None


class Ignored(NamedTuple):
    """An item left out by configuration; `what` is the name under which it is counted."""

    what: str


@dataclass(frozen=True, eq=False)
class DecodedExample:
    """One example before it is encoded; `valid` is None for photographs."""

    record: Record
    pixels: Pixels
    valid: Mask | None
    truth: Truth
