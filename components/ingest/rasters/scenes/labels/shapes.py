"""Labels as georeferenced polygons or points, in one file for all scenes."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from components.ingest.files.sides import side_finder
from components.ingest.rasters.scenes.labels.config import ShapeLabels
from components.ingest.rasters.scenes.labels.reader import LabelKind, LabelReader, SceneLabels
from components.raster.labels.rejects import LabelReject
from components.raster.labels.shapes import PlacedShapes, place_labels, unplaced_labels
from components.raster.labels.vectors import LabelSet, read_labels
from components.raster.tiles.key import Window
from components.raster.tiles.valid_mask import Mask
from components.raster.tiles.view import View
from components.raster.truth.target import Target
from components.raster.truth.value import Truth


@dataclass(frozen=True, eq=False)
class TruthOfShapes:
    """Truth of a scene's tiles from shapes on it: a `TruthAt`."""

    shapes: PlacedShapes
    target: Target
    classes: tuple[str, ...]

    def __call__(self, window: Window, valid: Mask) -> Truth | None:
        """Returns the truth of a tile."""
        return self.target.of_shapes(self.shapes, window, valid, self.classes)


class Shapes(LabelKind):
    """Shapes in a file."""

    def __init__(self, labels: ShapeLabels) -> None:
        self._labels = labels

    def shared_files(self) -> Sequence[tuple[str, str]]:
        """Returns the file of shapes and its side files."""
        path = self._labels.path
        return [(PurePath(it).name, it) for it in (path, *side_finder()(path))]

    def read(self) -> LabelReader:
        """Reads the shapes."""
        return _ShapeReader(self._labels, read_labels(self._labels))


class _ShapeReader(LabelReader):
    def __init__(self, labels: ShapeLabels, shapes: LabelSet) -> None:
        self._labels, self._shapes = labels, shapes
        self.class_names = shapes.class_names

    def where(self, own: str | None) -> str:
        return self._labels.path

    def of_scene(
        self, view: View, own: str | None, target: Target, classes: tuple[str, ...]
    ) -> SceneLabels:
        placed, rejects = place_labels(self._shapes, view.grid, classes or self.class_names)
        return SceneLabels(TruthOfShapes(placed, target, classes), placed, rejects)

    def left_out(
        self, labels: Sequence[SceneLabels], claimed: Collection[str]
    ) -> Sequence[LabelReject]:
        found = [*self._shapes.rejects, *(reject for scene in labels for reject in scene.rejects)]
        if self._labels.outside == "ignore":
            return found
        known = {reject.number for reject in found}
        placed = (it.shapes for it in labels if it.shapes is not None)
        nowhere = unplaced_labels(self._shapes, placed)
        return [*found, *(reject for reject in nowhere if reject.number not in known)]
