"""Photographs with boxes: the boxes of each image, once its size is known."""

from collections.abc import Mapping, Sequence

from components.ingest.listing.folders import is_within, list_files
from components.ingest.photographs.config import BoxedSource
from components.ingest.photographs.source import Photographs
from components.ingest.photographs.truth import TruthReader
from components.ingest.records.record import Contents, Record, Records
from components.ingest.records.reject import Reject, reject_of_label
from components.raster.labels.box_files import box_files, count_other_files
from components.raster.labels.boxes import (
    BoxSet,
    ImageSizeError,
    place_boxes,
    read_boxes,
    unplaced_boxes,
)
from components.raster.pairing import file_name
from components.raster.reasons import Reason
from components.raster.tiles.key import Window
from components.raster.truth.detection import tile_boxes
from components.raster.truth.value import Truth


def list_boxed(source: BoxedSource) -> Contents:
    """Lists a record for each image that the labels name, and rejects for other images and unusable
    boxes.

    Raises:
        DataError: there is no such folder, or the labels cannot be read.
    """
    found, labels = list_files(source.uri, source.boxes.path), read_boxes(source.boxes)
    keys, names = [record.key for record in found.records], [it.name for it in labels.images]
    pairs = labels.pair([[file_name(key)] for key in keys])
    named = Records()
    for place, record in enumerate(found.records):
        image = pairs.truth_of[place]
        if image is not None:
            group = source.group_of(record.key)
            named.append(record._replace(boxes_of=names[image], group=group))
        elif place in pairs.disputes:
            detail = f"in {labels.source} {pairs.disputes[place].explain(keys, names)}"
            found.rejects.append(Reject(record.key, record.uri, Reason.AMBIGUOUS_TRUTH, detail))
        else:
            detail = f"{labels.source} does not name it"
            found.rejects.append(Reject(record.key, record.uri, Reason.NO_BOXES, detail))
    found.records, found.classes = named, labels.class_names
    of_boxes = list(labels.rejects)
    if source.boxes.outside == "reject":
        of_boxes += unplaced_boxes(labels, pairs.used | pairs.disputed)
    found.rejects += map(reject_of_label, of_boxes)
    if not is_within(source.uri, source.boxes.path):  # the others are counted already
        found.ignored.update(count_other_files(source.boxes.path))
    return found


class BoxedPhotographs(Photographs[BoxedSource]):
    """Photographs in one folder, and boxes in their pixels in a file."""

    def find(self) -> Contents:
        """Lists the images that the labels name."""
        return list_boxed(self.source)

    def box_files(self) -> Mapping[str, str]:
        """Returns the files of boxes, by key."""
        return box_files(self.source.boxes.path)

    def truth_of(self, classes: Sequence[str]) -> TruthReader:
        """Returns the reader of the boxes."""
        return BoxReader(self.source, classes)


class BoxReader:
    """Finds the boxes of photographs: a `TruthReader`.

    Args:
        source: of photographs.
        classes: class names in the order of their indices.

    Raises:
        DataError: the labels cannot be read.
    """

    def __init__(self, source: BoxedSource, classes: Sequence[str]) -> None:
        self._labels: BoxSet = read_boxes(source.boxes)
        self._classes = tuple(classes)

    def __call__(
        self, record: Record, mask: bytes | None, height: int, width: int
    ) -> Truth | Reject:
        """Returns the boxes of an image of that shape, or a reject for an unusable image."""
        image = self._labels.place_of(record.boxes_of or "")
        if image is None:
            detail = f"{self._labels.source} no longer names {record.boxes_of}"
            return Reject(record.key, record.uri, Reason.NO_BOXES, detail)
        try:
            shapes, rejects = place_boxes(self._labels, image, (height, width), self._classes)
        except ImageSizeError as error:
            return Reject(record.key, record.uri, Reason.BOXES_DIFFER, str(error))
        if rejects:
            why = rejects[0].reason
            return Reject(record.key, record.uri, why, f"box {rejects[0].key}: {rejects[0].detail}")
        boxes = tile_boxes(shapes, Window(0, 0, height, width), min_visible=0)
        return Truth(boxes=boxes)
