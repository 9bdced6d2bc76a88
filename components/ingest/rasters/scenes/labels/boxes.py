"""Labels as boxes in the pixels of scenes, in a COCO file, a table or Pascal VOC files."""

from collections.abc import Collection, Sequence

from components.ingest.listing.folders import is_within
from components.ingest.rasters.scenes.labels.config import BoxLabels
from components.ingest.rasters.scenes.labels.reader import (
    LabelKind,
    LabelReader,
    LabelsRejected,
    OwnLabels,
    SceneLabels,
)
from components.ingest.rasters.scenes.labels.shapes import TruthOfShapes
from components.raster.labels.box_files import box_files, count_other_files
from components.raster.labels.boxes import (
    BoxSet,
    ImageSizeError,
    place_boxes,
    read_boxes,
    unplaced_boxes,
)
from components.raster.labels.rejects import LabelReject
from components.raster.pairing import Name
from components.raster.reasons import Reason
from components.raster.tiles.view import View
from components.raster.truth.target import Target


class BoxesInPixels(LabelKind):
    """Boxes in the pixels of scenes; each scene has the boxes of the image with its name."""

    def __init__(self, labels: BoxLabels) -> None:
        self._labels = labels

    def folder_apart(self) -> str | None:
        """Returns the file or folder of boxes."""
        return self._labels.path

    def pair(
        self, names: Sequence[Collection[Name]], scene_files: Collection[str], root: str
    ) -> OwnLabels | None:
        """Pairs scenes with the images that the labels name."""
        path, found = self._labels.path, read_boxes(self._labels)
        images = [image.name for image in found.images]
        ignored = {} if is_within(root, path) else count_other_files(path)
        pairs = found.pair(names)
        return OwnLabels(pairs, images, images, path, Reason.NO_BOXES, ignored=ignored)

    def shared_files(self) -> Sequence[tuple[str, str]]:
        """Returns the files of boxes."""
        return list(box_files(self._labels.path).items())

    def files_read_to_pair(self) -> Sequence[str]:
        """Lists the files of boxes, which name scenes."""
        return list(box_files(self._labels.path).values())

    def read(self) -> LabelReader:
        """Reads the boxes."""
        return _BoxReader(self._labels, read_boxes(self._labels))


class _BoxReader(LabelReader):
    def __init__(self, labels: BoxLabels, boxes: BoxSet) -> None:
        self._labels, self._boxes = labels, boxes
        self.class_names = boxes.class_names

    def where(self, own: str | None) -> str:
        return self._labels.path

    def of_scene(
        self, view: View, own: str | None, target: Target, classes: tuple[str, ...]
    ) -> SceneLabels:
        image = self._boxes.place_of(own or "")
        if image is None:
            detail = f"{self._boxes.source} no longer names {own}"
            raise LabelsRejected(Reason.NO_BOXES, detail)
        size_px = view.grid.height_px, view.grid.width_px
        known = classes or self.class_names
        orientation = view.files[0].orientation
        try:
            placed, rejects = place_boxes(
                self._boxes, image, size_px, known, orientation=orientation
            )
        except ImageSizeError as error:
            raise LabelsRejected(Reason.BOXES_DIFFER, str(error)) from error
        return SceneLabels(TruthOfShapes(placed, target, classes), placed, rejects)

    def left_out(
        self, labels: Sequence[SceneLabels], claimed: Collection[str]
    ) -> Sequence[LabelReject]:
        found = [*self._boxes.rejects, *(reject for scene in labels for reject in scene.rejects)]
        if self._labels.outside == "ignore":
            return found
        known = {reject.number for reject in found}
        images = (self._boxes.place_of(name) for name in claimed)
        nowhere = unplaced_boxes(self._boxes, {image for image in images if image is not None})
        return [*found, *(reject for reject in nowhere if reject.number not in known)]
