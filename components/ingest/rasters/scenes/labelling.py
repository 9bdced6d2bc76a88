"""Truth of tiles, from every kind of labels."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from components.ingest.rasters.scenes.config import (
    BoxesTarget,
    BoxLabels,
    ClassesTarget,
    ClassRasterLabels,
    ClassTarget,
    MaskLabels,
    MaskTarget,
    NumberTarget,
    ShapeLabels,
    Target,
    TiledSource,
)
from components.ingest.rasters.scenes.label_codes import CodesAt, CodesOf, code_reader
from components.ingest.rasters.scenes.labels_rejected import LabelsRejected
from components.ingest.records.reject import Reason
from components.ingest.records.truth import Truth
from components.raster.errors import ConfigError
from components.raster.labels.boxes import BoxSet, ImageSizeError, place_boxes, read_boxes
from components.raster.labels.class_raster import ClassLegend, encode
from components.raster.labels.from_shapes import (
    tile_boxes,
    tile_class,
    tile_classes,
    tile_mask,
    tile_number,
)
from components.raster.labels.rejects import LabelReject
from components.raster.labels.shapes import PlacedShapes, place_labels
from components.raster.labels.targets import (
    MaskPixels,
    class_of_mask,
    classes_of_mask,
    ignore_value,
)
from components.raster.labels.vectors import LabelSet, read_labels
from components.raster.library_errors import LibraryError, translated
from components.raster.scene.grid import CrsError
from components.raster.tiles.key import Window
from components.raster.tiles.valid_mask import Mask
from components.raster.tiles.view import View

#: Function that returns a tile's truth by its window and valid pixels; None without a truth.
TruthAt = Callable[[Window, Mask], Truth | None]


@dataclass(frozen=True, eq=False)
class SceneLabels:
    """The labels of one scene: its tiles' truth, its shapes, and the unusable labels."""

    truth_at: TruthAt
    shapes: PlacedShapes | None = None
    rejects: tuple[LabelReject, ...] = ()


def read_shapes(source: TiledSource) -> LabelSet | None:
    """Reads the labels of a source that has shapes or boxes."""
    if isinstance(source.labels, BoxLabels):
        return read_boxes(source.labels)
    return read_labels(source.labels) if isinstance(source.labels, ShapeLabels) else None


def class_names(source: TiledSource, shapes: LabelSet | None) -> tuple[str, ...]:
    """Returns the classes that the labels name, sorted, and the background."""
    found: tuple[str, ...] = ()
    if shapes is not None:
        found = shapes.class_names
    elif isinstance(source.labels, ClassRasterLabels | MaskLabels):
        found = source.labels.legend.class_names
    if isinstance(source.target, NumberTarget):
        return ()
    background = getattr(source.target, "background", None)
    return tuple(sorted({*found, *([background] if background else [])}))


class Labeller:
    """Finds the truth of the tiles of each scene.

    Args:
        source: labels and target.
        classes: class names in the order of their indices.
        shapes: from `read_shapes`.

    Raises:
        DataError: the labels cannot be read.
        ConfigError: the background is not among the classes.
    """

    def __init__(
        self, source: TiledSource, classes: Sequence[str], shapes: LabelSet | None
    ) -> None:
        self._labels, self._target, self._shapes = source.labels, source.target, shapes
        self._classes = tuple(classes)
        background = getattr(source.target, "background", None)
        if background is not None and background not in self._classes:
            raise ConfigError(
                f"ingest.source.target.background: {background!r} is none of the classes "
                f"{', '.join(self._classes)}"
            )
        labels = source.labels
        self._codes: CodesOf | None = None
        if isinstance(labels, ClassRasterLabels | MaskLabels):
            self._codes = code_reader(labels)

    def of_scene(self, view: View, named: str | None) -> SceneLabels:
        """Returns the labels of a view; their truth raises LabelsRejected where it is unavailable.

        Args:
            view: of the scene.
            named: its mask, or its image in a file of boxes, from `NamedScenes.truths`.

        Raises:
            LabelsRejected: the scene's mask or boxes cannot be read, or are of another size or
                place.
        """
        where = str(getattr(self._labels, "path", named))  # each scene has a mask of its own
        with _refusing_labels(where):
            found = self._of_scene(view, named)
        return replace(found, truth_at=_Guarded(found.truth_at, where))

    def _of_scene(self, view: View, named: str | None) -> SceneLabels:
        if self._shapes is not None:
            known = self._classes or self._shapes.class_names
            shapes, rejects = _placed(self._shapes, view, named, known)
            truth_at = _ShapeTruth(shapes, self._target, self._classes)
            return SceneLabels(truth_at, shapes, rejects)
        if self._codes is None or not isinstance(self._labels, ClassRasterLabels | MaskLabels):
            return SceneLabels(lambda window, valid: Truth())
        pixels = _mask_reader(self._codes(view, named), self._labels.legend, self._classes)
        return SceneLabels(_MaskTruth(pixels, self._target, self._classes))


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


def _placed(
    labels: LabelSet, view: View, named: str | None, class_names: Sequence[str]
) -> tuple[PlacedShapes, tuple[LabelReject, ...]]:
    if not isinstance(labels, BoxSet):
        return place_labels(labels, view.grid, class_names)
    orientation = view.files[0].orientation
    image = labels.place_of(named or "")
    if image is None:
        detail = f"{labels.source} does not name {named} any more"
        raise LabelsRejected(Reason.NO_BOXES, detail)
    try:
        size_px = view.grid.height_px, view.grid.width_px
        return place_boxes(labels, image, size_px, class_names, orientation=orientation)
    except ImageSizeError as error:
        raise LabelsRejected(Reason.BOXES_DIFFER, str(error)) from error


def _mask_reader(
    of_window: CodesAt, legend: ClassLegend, classes: tuple[str, ...]
) -> Callable[[Window, Mask], MaskPixels]:
    def read(window: Window, valid: Mask) -> MaskPixels:
        found, known = of_window(window)
        return encode(found, legend, classes, valid=valid & known).pixels

    return read


@dataclass(frozen=True, eq=False)
class _ShapeTruth:
    shapes: PlacedShapes
    target: Target
    classes: tuple[str, ...]

    def __call__(self, window: Window, valid: Mask) -> Truth | None:
        target, shapes = self.target, self.shapes
        if isinstance(target, ClassTarget):
            return _one_class(tile_class(shapes, window, target.rule), target, self.classes)
        if isinstance(target, ClassesTarget):
            found = tile_classes(shapes, window, target.rule, target.min_fraction)
            return Truth(labels=tuple(self.classes[index] for index in found))
        if isinstance(target, NumberTarget):
            number = tile_number(shapes, window, target.rule)
            return None if number is None else Truth(number=number)
        if isinstance(target, BoxesTarget):
            boxes = tile_boxes(
                shapes,
                window,
                min_visible=target.min_visible,
                point_size_px=target.point_size_px,
            )
            return Truth(boxes=boxes)
        background = None if target.background is None else self.classes.index(target.background)
        mask = tile_mask(
            shapes,
            window,
            len(self.classes),
            rule=target.rule,
            min_fraction=target.min_fraction,
            background=background,
            valid=valid,
        )
        return _mask(mask, self.classes)


@dataclass(frozen=True, eq=False)
class _MaskTruth:
    pixels: Callable[[Window, Mask], MaskPixels]
    target: Target
    classes: tuple[str, ...]

    def __call__(self, window: Window, valid: Mask) -> Truth | None:
        mask, target, count = self.pixels(window, valid), self.target, len(self.classes)
        if isinstance(target, ClassTarget):
            return _one_class(class_of_mask(mask, count, target.rule), target, self.classes)
        if isinstance(target, ClassesTarget):
            found = classes_of_mask(mask, count, target.rule, target.min_fraction)
            return Truth(labels=tuple(self.classes[index] for index in found))
        assert isinstance(target, MaskTarget)
        return _mask(mask, self.classes)


def _one_class(index: int | None, target: ClassTarget, classes: tuple[str, ...]) -> Truth | None:
    label = target.background if index is None else classes[index]
    return None if label is None else Truth(label=label)


def _mask(mask: MaskPixels, classes: tuple[str, ...]) -> Truth | None:
    """Converts a mask to a truth; None without a single pixel of truth."""
    if (mask == ignore_value(len(classes))).all():
        return None
    return Truth(mask=mask)
