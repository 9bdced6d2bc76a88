"""Registry of the kinds of labels."""

from collections.abc import Callable, Mapping
from typing import Any

from components.ingest.rasters.scenes.labels.boxes import BoxesInPixels
from components.ingest.rasters.scenes.labels.class_raster import ClassRaster
from components.ingest.rasters.scenes.labels.config import Labels
from components.ingest.rasters.scenes.labels.masks import Masks
from components.ingest.rasters.scenes.labels.reader import LabelKind, LabelReader, SceneLabels
from components.ingest.rasters.scenes.labels.shapes import Shapes
from components.raster.tiles.view import View
from components.raster.truth.target import Target
from components.raster.truth.value import Truth


class NoLabels(LabelKind, LabelReader):
    """Absence of labels, with nothing to read."""

    def read(self) -> LabelReader:
        """Returns itself."""
        return self

    def where(self, own: str | None) -> str:
        """Returns empty text: there is no file to name."""
        return ""

    def of_scene(
        self, view: View, own: str | None, target: Target, classes: tuple[str, ...]
    ) -> SceneLabels:
        """Returns an empty truth for every tile."""
        return SceneLabels(lambda window, valid: Truth())


_KINDS: Mapping[str, Callable[[Any], LabelKind]] = {
    "shapes": Shapes,
    "boxes": BoxesInPixels,
    "class_raster": ClassRaster,
    "masks": Masks,
}


def kind_of(labels: Labels | None) -> LabelKind:
    """Returns the kind of labels of a configuration."""
    return NoLabels() if labels is None else _KINDS[labels.kind](labels)
