"""Base classes of labels: a kind before its files are read, and the reader of its files."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from components.ingest.records.reject import Reject
from components.raster.errors import DataError
from components.raster.labels.rejects import LabelReject
from components.raster.labels.shapes import PlacedShapes
from components.raster.pairing import Name, Pairing
from components.raster.reasons import Reason
from components.raster.tiles.key import Window
from components.raster.tiles.valid_mask import Mask
from components.raster.tiles.view import View
from components.raster.truth.target import Target
from components.raster.truth.value import Truth

#: Function that returns a tile's truth by its window and valid pixels; None without a truth.
TruthAt = Callable[[Window, Mask], Truth | None]


class LabelsRejected(DataError):
    """A scene has no mask or boxes that fit it."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, eq=False)
class SceneLabels:
    """The labels of one scene: the truth of its tiles, its shapes, and the unusable labels."""

    truth_at: TruthAt
    shapes: PlacedShapes | None = None
    rejects: tuple[LabelReject, ...] = ()


@dataclass(frozen=True, eq=False)
class OwnLabels:
    """Labels that each belong to one scene, paired with the scenes.

    Attributes:
        pairs: of scenes and labels.
        names: of the labels, for messages.
        values: for each label, the path of the mask, or the name of the image in a file of boxes.
        where: their folder or file, for messages.
        missing: the reason code of a scene without labels.
        rejects: unusable files.
        ignored: number of other files, by suffix or reason.
    """

    pairs: Pairing
    names: Sequence[str]
    values: Sequence[str]
    where: str
    missing: Reason
    rejects: Sequence[Reject] = ()
    ignored: Mapping[str, int] = field(default_factory=dict)


class LabelReader(ABC):
    """Labels whose files are read.

    Attributes:
        class_names: classes named by the labels.
    """

    class_names: tuple[str, ...] = ()

    @abstractmethod
    def where(self, own: str | None) -> str:
        """Returns the file of a scene's labels, for messages."""

    @abstractmethod
    def of_scene(
        self, view: View, own: str | None, target: Target, classes: tuple[str, ...]
    ) -> SceneLabels:
        """Returns the labels of a scene.

        Args:
            view: of the scene.
            own: its entry in `OwnLabels.values`, or None.
            target: finds the truth of tiles.
            classes: class names in the order of their indices.

        Raises:
            LabelsRejected: they cannot be read, or have another size or location.
        """

    def unreadable(self, own: Sequence[str | None]) -> dict[int, str]:
        """Checks all pixels of labels against the legend.

        Returns:
            The index of each scene whose labels cannot be read, with the reason.

        Raises:
            DataError: there are undeclared classes, and the configuration says to stop.
        """
        return {}

    def left_out(
        self, labels: Sequence[SceneLabels], claimed: Collection[str]
    ) -> Sequence[LabelReject]:
        """Returns the labels that were left out; those of several scenes may be repeated.

        Args:
            labels: of all usable scenes.
            claimed: values of `OwnLabels` that belong to a scene, or may belong to one.
        """
        return ()


class LabelKind(ABC):
    """One kind of labels, bound to its configuration; default: shared by all scenes."""

    def folder_apart(self) -> str | None:
        """Returns the file or folder of labels that holds no scenes."""
        return None

    def pair(
        self, names: Sequence[Collection[Name]], scene_files: Collection[str], root: str
    ) -> OwnLabels | None:
        """Pairs scenes with their own labels; None if all scenes share the labels.

        Args:
            names: possible names of each scene's labels.
            scene_files: files of all scenes.
            root: folder or catalogue of the scenes.
        """
        return None

    def shared_files(self) -> Sequence[tuple[str, str]]:
        """Returns the name and path of each file shared by scenes."""
        return ()

    def own_file(self, own: str | None) -> str | None:
        """Returns the file with the labels of only this scene, if there is one."""
        return None

    def files_read_to_pair(self) -> Sequence[str]:
        """Lists the files whose content determines which scenes have labels."""
        return ()

    @abstractmethod
    def read(self) -> LabelReader:
        """Reads what labels need before a scene is opened.

        Raises:
            DataError: the labels cannot be read.
        """
