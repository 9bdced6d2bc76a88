"""Labels of each scene, in the classes of the run; unreadable ones reject the scene."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from components.ingest.rasters.scenes.labels.reader import (
    LabelReader,
    LabelsRejected,
    SceneLabels,
    TruthAt,
)
from components.raster.errors import ConfigError
from components.raster.library_errors import LibraryError, translated
from components.raster.reasons import Reason
from components.raster.scene.grid import CrsError
from components.raster.task import WITHOUT_CLASSES
from components.raster.tiles.key import Window
from components.raster.tiles.valid_mask import Mask
from components.raster.tiles.view import View
from components.raster.truth.target import Target
from components.raster.truth.value import Truth


def class_names(labels: LabelReader, target: Target) -> tuple[str, ...]:
    """Returns the classes named by the labels and the background, sorted."""
    if target.task in WITHOUT_CLASSES:
        return ()
    background = () if target.background is None else (target.background,)
    return tuple(sorted({*labels.class_names, *background}))


class Labeller:
    """Finds the truth of the tiles of each scene.

    Args:
        labels: of the scenes.
        target: finds the truth of tiles.
        classes: class names in the order of their indices.

    Raises:
        ConfigError: the background is not among the classes.
    """

    def __init__(self, labels: LabelReader, target: Target, classes: Sequence[str]) -> None:
        self._labels, self._target, self._classes = labels, target, tuple(classes)
        if target.background is not None and target.background not in self._classes:
            raise ConfigError(
                f"ingest.source.target.background: {target.background!r} is not one of the classes "
                f"{', '.join(self._classes)}"
            )

    def of_scene(self, view: View, own: str | None) -> SceneLabels:
        """Returns the labels of a view; their truth raises LabelsRejected if it cannot be read.

        Args:
            view: of the scene.
            own: its mask, or its image in a file of boxes, from `NamedScenes.truths`.

        Raises:
            LabelsRejected: the scene's mask or boxes cannot be read, or have another size or
                location.
        """
        where = self._labels.where(own)
        with _refusing_labels(where):
            found = self._labels.of_scene(view, own, self._target, self._classes)
        return replace(found, truth_at=_Guarded(found.truth_at, where))


@contextmanager
def _refusing_labels(where: str) -> Iterator[None]:
    try:
        with translated():
            yield
    except LibraryError as error:
        reason, remedy = Reason.UNREADABLE, ""
        if isinstance(error, CrsError):
            reason, remedy = (
                Reason.NOT_PROJECTABLE,
                ". Give them their true system (ogr2ogr -a_srs)",
            )
        raise LabelsRejected(reason, f"its labels in {where}: {error}{remedy}") from error


@dataclass(frozen=True, eq=False)
class _Guarded:
    truth_at: TruthAt
    where: str

    def __call__(self, window: Window, valid: Mask) -> Truth | None:
        with _refusing_labels(self.where):
            return self.truth_at(window, valid)
