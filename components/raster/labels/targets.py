"""Targets of a tile, in one form for each kind of task."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

#: Rule that assigns a class to a tile. See `docs/scenes.md` for each rule.
Rule = Literal["majority", "centre", "any", "fraction"]

MaskPixels = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]


@dataclass(frozen=True, eq=False)
class Boxes:
    """Objects in a tile.

    Attributes:
        edges_px: (N, 4) float32: top, left, bottom, right in pixels of the tile.
        classes: (N,) int64.
        visible: (N,) float32: share of each object's ground inside the tile.
    """

    edges_px: npt.NDArray[np.float32]
    classes: npt.NDArray[np.int64]
    visible: npt.NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.edges_px.shape != (len(self.classes), 4) or len(self.visible) != len(self.classes):
            raise ValueError(f"{len(self.classes)} classes cannot have boxes {self.edges_px.shape}")


def _fits_a_byte(class_count: int) -> bool:
    return class_count <= np.iinfo(np.uint8).max


def mask_dtype(class_count: int) -> type[np.uint8] | type[np.uint16]:
    """Returns the smallest dtype that holds class indexes and an ignore value."""
    return np.uint8 if _fits_a_byte(class_count) else np.uint16


def ignore_value(class_count: int) -> int:
    """Returns the ignore value of masks: the largest value of their dtype.

    >>> ignore_value(5), ignore_value(300)
    (255, 65535)
    """
    return int(np.iinfo(mask_dtype(class_count)).max)


def as_mask(indexes: npt.NDArray[np.integer], class_count: int) -> MaskPixels:
    """Casts class indexes and ignore values to the mask dtype of that class count."""
    mask: MaskPixels
    mask = np.asarray(indexes, np.uint8) if _fits_a_byte(class_count) else indexes.astype(np.uint16)
    return mask
