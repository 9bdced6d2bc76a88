"""Photographs with boxes: which boxes lie in which, once its size is known."""

from collections.abc import Sequence

from components.ingest.config import BoxedSource, IngestConfig
from components.ingest.folders import list_files
from components.ingest.record import Contents, Record
from components.ingest.reject import Reason, Reject, reject_of_label
from components.raster.labels.boxes import (
    BoxSet,
    ImageSizeError,
    boxes_nowhere,
    place_boxes,
    read_boxes,
)
from components.raster.labels.from_shapes import tile_boxes
from components.raster.labels.targets import Boxes
from components.raster.tiles.key import Window


def list_boxed(source: BoxedSource) -> Contents:
    """A record for each image that the labels name; rejects for other images, and for boxes of no
    use.

    Raises:
        DataError: there is no such folder, or the labels cannot be read.
    """
    found, labels = list_files(source.uri), read_boxes(source.boxes)
    named, rejects, used = [], [], set()
    for record in found.records:
        image = labels.image_at(record.uri)
        if image is None:
            detail = f"{labels.source} does not name it"
            rejects.append(Reject(record.key, record.uri, Reason.NO_BOXES, detail))
        else:
            used.add(image)
            named.append(record._replace(group=source.group_of(record.key)))
    found.records, found.classes = named, labels.class_names
    of_boxes = list(labels.rejects)
    if source.boxes.outside == "reject":
        of_boxes += boxes_nowhere(labels, used)
    found.rejects += [*rejects, *map(reject_of_label, of_boxes)]
    return found


class BoxReader:
    """Finds the boxes of photographs.

    Args:
        source: of photographs.
        classes: class names in the order of their indices.

    Raises:
        DataError: the labels cannot be read.
    """

    def __init__(self, source: BoxedSource, classes: Sequence[str]) -> None:
        self._labels: BoxSet = read_boxes(source.boxes)
        self._classes = tuple(classes)

    def __call__(self, record: Record, height: int, width: int) -> Boxes | Reject:
        """The boxes of an image of that shape, or why the image cannot be learnt from."""
        image = self._labels.image_at(record.uri)
        assert image is not None, "the listing took those that have one"
        try:
            shapes, rejects = place_boxes(self._labels, image, (height, width), self._classes)
        except ImageSizeError as error:
            return Reject(record.key, record.uri, Reason.BOXES_DIFFER, str(error))
        if rejects:
            why = Reason(rejects[0].reason.value)
            return Reject(record.key, record.uri, why, f"box {rejects[0].key}: {rejects[0].detail}")
        return tile_boxes(shapes, Window(0, 0, height, width), min_visible=0)


def box_reader(config: IngestConfig, classes: Sequence[str]) -> BoxReader | None:
    """The reader of the boxes that a configuration's source has; None where it has none."""
    source = config.source
    return BoxReader(source, classes) if isinstance(source, BoxedSource) else None
