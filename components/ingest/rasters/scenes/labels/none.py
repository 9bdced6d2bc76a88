"""Scenes without labels: their tiles have no truth."""

from components.ingest.rasters.scenes.labels.reader import LabelKind, LabelReader, SceneLabels
from components.raster.tiles.view import View
from components.raster.truth.target import Target
from components.raster.truth.value import Truth


class NoLabels(LabelKind, LabelReader):
    """The absence of labels, with nothing to read."""

    def read(self) -> LabelReader:
        """Returns itself."""
        return self

    def where(self, own: str | None) -> str:
        """Returns nothing that a message could name."""
        return ""

    def of_scene(
        self, view: View, own: str | None, target: Target, classes: tuple[str, ...]
    ) -> SceneLabels:
        """Returns an empty truth for every tile."""
        return SceneLabels(lambda window, valid: Truth())
