"""Registry of the kinds of labels."""

from collections.abc import Callable, Mapping
from typing import Any

from components.ingest.rasters.scenes.labels.boxes import BoxesInPixels
from components.ingest.rasters.scenes.labels.class_raster import ClassRaster
from components.ingest.rasters.scenes.labels.config import Labels
from components.ingest.rasters.scenes.labels.masks import Masks
from components.ingest.rasters.scenes.labels.none import NoLabels
from components.ingest.rasters.scenes.labels.reader import LabelKind
from components.ingest.rasters.scenes.labels.shapes import Shapes

_KINDS: Mapping[str, Callable[[Any], LabelKind]] = {
    "shapes": Shapes,
    "boxes": BoxesInPixels,
    "class_raster": ClassRaster,
    "masks": Masks,
}


def kind_of(labels: Labels | None) -> LabelKind:
    """Returns the kind of labels of a configuration."""
    return NoLabels() if labels is None else _KINDS[labels.kind](labels)
