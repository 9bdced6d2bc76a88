"""Labels as masks: an image of classes for each scene, with the same name."""

import os
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path

from components.ingest.listing.folders import is_within, list_files
from components.ingest.rasters.scenes.labels.codes import (
    LEGEND_REMEDY,
    CodesAt,
    TruthOfCodes,
    class_raster,
    codes_by_colour,
    codes_by_value,
    refuse_undeclared,
)
from components.ingest.rasters.scenes.labels.config import MaskLabels
from components.ingest.rasters.scenes.labels.reader import (
    LabelKind,
    LabelReader,
    LabelsRejected,
    OwnLabels,
    SceneLabels,
)
from components.raster.errors import DataError
from components.raster.labels.palette import check_palette
from components.raster.pairing import Name, file_name, pair
from components.raster.reasons import Reason
from components.raster.tiles.view import View
from components.raster.truth.target import Target
from components.raster.walk import UNUSED_MASK


class Masks(LabelKind):
    """A folder with a mask for each scene."""

    def __init__(self, labels: MaskLabels) -> None:
        self._labels = labels

    def folder_apart(self) -> str | None:
        """Returns the folder of masks."""
        return self._labels.folder

    def pair(
        self, names: Sequence[Collection[Name]], scene_files: Collection[str], root: str
    ) -> OwnLabels | None:
        """Pairs scenes with the masks of the same name."""
        folder = self._labels.folder
        if not os.path.isdir(folder):
            raise DataError(
                f"no folder {folder}: source.labels.folder must hold a mask for each scene"
            )
        found = list_files(folder)
        masks = [mask for mask in found.records if mask.uri not in scene_files]
        keys = [mask.key for mask in masks]
        pairs = pair(names, list(map(file_name, keys)))
        unused = Counter({UNUSED_MASK: len(masks) - len(pairs.used)})
        return OwnLabels(
            pairs,
            keys,
            [mask.uri for mask in masks],
            folder,
            Reason.NO_MASK,
            found.rejects,
            {} if is_within(root, folder) else found.ignored + unused,  # counted with the scenes
        )

    def own_file(self, own: str | None) -> str | None:
        """Returns the mask of the scene."""
        return own

    def read(self) -> LabelReader:
        """Returns the reader; masks are opened scene by scene."""
        return SceneMaskReader(self._labels)


class SceneMaskReader(LabelReader):
    """Reads the mask of each scene."""

    def __init__(self, labels: MaskLabels) -> None:
        self._labels = labels
        self.class_names = labels.legend.class_names

    def where(self, own: str | None) -> str:
        """Returns the mask."""
        return str(own)

    def of_scene(
        self, view: View, own: str | None, target: Target, classes: tuple[str, ...]
    ) -> SceneLabels:
        """Returns the truth from the scene's mask."""
        codes_at = self.codes_of(view, own)
        return SceneLabels(TruthOfCodes(codes_at, self._labels.legend, target, classes))

    def codes_of(self, view: View, mask: str | None) -> CodesAt:
        """Returns the pixel codes of a mask on its scene's grid.

        Raises:
            LabelsRejected: the mask cannot be used.
        """
        if mask is None or not os.path.isfile(mask):  # opening a named pipe would block
            raise LabelsRejected(Reason.UNREADABLE, f"the mask {mask} is not a file")
        if not self._labels.legend.values:
            return codes_by_colour(Path(mask), view)
        try:
            scene = class_raster(mask, self._labels.legend)
        except DataError as error:
            raise LabelsRejected(Reason.UNREADABLE, str(error)) from error
        return codes_by_value(scene, view, 1)

    def unreadable(self, own: Sequence[str | None]) -> dict[int, str]:
        """Checks all masks against the legend."""
        if not own:
            return {}
        masks, legend = [Path(mask or "") for mask in own], self._labels.legend
        unique = dict.fromkeys(masks)
        if legend.colours:
            report = check_palette(unique, legend)
            if not report.passed and self._labels.undeclared == "stop":
                raise DataError(f"{report.text()}\n{LEGEND_REMEDY}")
            found = report.unreadable
        else:
            found = refuse_undeclared(unique, 1, legend, self._labels.undeclared)
        return {place: found[mask] for place, mask in enumerate(masks) if mask in found}
