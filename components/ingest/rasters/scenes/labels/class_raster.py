"""Labels in one raster of classes, on any grid."""

from collections.abc import Sequence
from pathlib import Path, PurePath

from components.ingest.files.sides import side_finder
from components.ingest.rasters.scenes.labels.codes import (
    TruthOfCodes,
    class_raster,
    codes_by_value,
    refuse_undeclared,
)
from components.ingest.rasters.scenes.labels.config import ClassRasterLabels
from components.ingest.rasters.scenes.labels.reader import LabelKind, LabelReader, SceneLabels
from components.raster.errors import DataError
from components.raster.tiles.view import View
from components.raster.truth.target import Target


class ClassRaster(LabelKind):
    """One class raster for all scenes."""

    def __init__(self, labels: ClassRasterLabels) -> None:
        self._labels = labels

    def shared_files(self) -> Sequence[tuple[str, str]]:
        """Returns the raster and its side files."""
        path = self._labels.path
        return [(PurePath(it).name, it) for it in (path, *side_finder()(path))]

    def read(self) -> LabelReader:
        """Opens the raster."""
        return _ClassRasterReader(self._labels)


class _ClassRasterReader(LabelReader):
    def __init__(self, labels: ClassRasterLabels) -> None:
        self._labels = labels
        self._raster = class_raster(labels.path, labels.legend)
        self.class_names = labels.legend.class_names

    def where(self, own: str | None) -> str:
        return self._labels.path

    def of_scene(
        self, view: View, own: str | None, target: Target, classes: tuple[str, ...]
    ) -> SceneLabels:
        codes_at = codes_by_value(self._raster, view, self._labels.band)
        return SceneLabels(TruthOfCodes(codes_at, self._labels.legend, target, classes))

    def unreadable(self, own: Sequence[str | None]) -> dict[int, str]:
        labels = self._labels
        found = refuse_undeclared(
            [Path(labels.path)], labels.band, labels.legend, labels.undeclared
        )
        for why in found.values():
            raise DataError(f"the class raster cannot be used: {why}")
        return {}
