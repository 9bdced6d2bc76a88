"""Truth of an example, beside the classes that its record carries."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from components.ingest.encode import bytes_entry, float_entry, int_entry
from components.raster import example
from components.raster.labels.targets import Boxes, MaskPixels, ignore_value


@dataclass(frozen=True, eq=False)
class TileTruth:
    """Truth of a tile, beside the classes that its record carries."""

    number: float | None = None
    mask: MaskPixels | None = None
    boxes: Boxes | None = None

    def names(self, classes: Sequence[str]) -> tuple[str, ...]:
        """Returns the classes in the mask or among the boxes, out of the run's classes."""
        indices: set[int] = set()
        if self.boxes is not None:
            indices |= set(self.boxes.classes.tolist())
        if self.mask is not None:
            indices |= set(np.unique(self.mask).tolist()) - {ignore_value(len(classes))}
        return tuple(classes[index] for index in sorted(indices))


def mask_entries(mask: MaskPixels | None) -> Iterator[bytes]:
    """Yields the features of an example that hold a mask, if there is one."""
    if mask is not None:
        yield bytes_entry(example.MASK_ENCODED, mask_png(mask))
        yield bytes_entry(example.MASK_FORMAT, b"png")


def box_entries(boxes: Boxes | None, classes: Sequence[str]) -> Iterator[bytes]:
    """Yields the features of an example that hold its objects, if it has boxes."""
    if boxes is None:
        return
    for name, edges in zip(example.BOX_EDGES, boxes.edges_px.T, strict=True):
        yield float_entry(name, *edges.tolist())
    indices = boxes.classes.tolist()
    yield int_entry(example.OBJECT_LABEL, *indices)
    yield bytes_entry(example.OBJECT_LABEL_TEXT, *(classes[index].encode() for index in indices))


def mask_png(mask: MaskPixels) -> bytes:
    """Encodes a mask as a gray PNG of 8 or 16 bits."""
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(mask)).save(file, "PNG")
    return file.getvalue()
