"""Objects as boxes in pixels of their images, validated one by one."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt
import shapely
from pydantic import Field

from components.raster.errors import DataError
from components.raster.frozen import Frozen
from components.raster.labels.box_files import BoxListing, LabelledImage, ListedBox, listed_boxes
from components.raster.labels.rejects import LabelReject
from components.raster.labels.shapes import PlacedShapes, keep_known
from components.raster.labels.vectors import LabelSet
from components.raster.location import Location
from components.raster.pairing import Name, Pairing, file_name, pair
from components.raster.reasons import Reason
from components.raster.scene.orientation import UPRIGHT, Orientation
from components.raster.text import ClassName, Encoding


class BoxFile(Frozen):
    """A file of boxes in pixels, and their meaning."""

    path: Location = Field(
        description="COCO (.json), DeepForest (.csv with image_path, xmin, ymin, xmax, ymax and "
        "label), or a folder of Pascal VOC files (.xml)"
    )
    encoding: Encoding | None = Field(
        default=None,
        description="text encoding of a .json or .csv; default: UTF-8, or what its byte order "
        "mark says",
    )
    class_name: ClassName | None = Field(
        default=None, description="class of every object; default: the classes in the file"
    )
    outside: Literal["reject", "ignore"] = Field(
        default="reject",
        description="what to do with boxes in images that the source does not have",
    )


@dataclass(frozen=True, eq=False, kw_only=True)
class BoxSet(LabelSet):
    """The usable boxes of a file, in pixels of their own images: x is the column, y the row.

    Attributes:
        images: those that the file names, also without an object.
        image_of: for each box, the index of its image.
    """

    images: tuple[LabelledImage, ...]
    image_of: npt.NDArray[np.int64] = field(repr=False)

    def pair(self, images: Sequence[Collection[Name]]) -> Pairing:
        """Pairs images with the labelled images, by their names."""
        return pair(images, [file_name(image.name) for image in self.images], of_files=True)

    def place_of(self, name: str) -> int | None:
        """Returns the index of a labelled image; None if the labels do not name it."""
        return self._places.get(name)

    @cached_property
    def _places(self) -> Mapping[str, int]:
        return {image.name: place for place, image in enumerate(self.images)}


class ImageSizeError(DataError):
    """Boxes drawn in an image of another size."""


def read_boxes(config: BoxFile) -> BoxSet:
    """Reads a file of boxes, or a folder of them.

    Raises:
        DataError: it cannot be read, or names no image.
    """
    listing = listed_boxes(config.path, config.encoding)
    if not listing.images:
        raise DataError(f"Labels {config.path} name no image.")
    place = {image.name: index for index, image in enumerate(listing.images)}
    kept: list[ListedBox] = []
    rejects = [
        LabelReject(entry.file, entry.number, Reason.BAD_ENTRY, f"{entry.why}.")
        for entry in listing.bad
    ]
    for box in listing.boxes:
        why = _refused(box, config, place)
        if why is None:
            kept.append(box)
        else:
            rejects.append(LabelReject(config.path, box.number, *why))
    return _box_set(config, listing, kept, rejects, place)


def _box_set(
    config: BoxFile,
    listing: BoxListing,
    boxes: Sequence[ListedBox],
    rejects: Sequence[LabelReject],
    place: Mapping[str, int],
) -> BoxSet:
    edges = np.array([box.edges_px for box in boxes], np.float64).reshape(-1, 4)
    return BoxSet(
        source=config.path,
        crs="",
        numbers=np.array([box.number for box in boxes], np.int64),
        geometries=shapely.box(*edges.T),
        classes=np.array([config.class_name or box.class_name for box in boxes], np.str_),
        values=np.full(len(boxes), np.nan),
        rejects=tuple(rejects),
        images=listing.images,
        image_of=np.array([place[box.image] for box in boxes], np.int64),
    )


def _refused(
    box: ListedBox, config: BoxFile, images: Mapping[str, int]
) -> tuple[Reason, str] | None:
    """Returns why a box cannot be used; None for a usable one."""
    left, top, right, bottom = box.edges_px
    if box.image not in images:
        return Reason.NO_IMAGE, "the file does not list its image."
    if not np.isfinite(box.edges_px).all():
        return Reason.EMPTY_GEOMETRY, f"its edges in {box.image} are not four numbers."
    if right <= left or bottom <= top:
        size = f"{right - left:g} x {bottom - top:g} pixels (width x height)"
        return Reason.EMPTY_GEOMETRY, f"in {box.image} it is {size}."
    if box.crowd:
        return Reason.CROWD, f"in {box.image} it stands for many objects at once (iscrowd)."
    if not (config.class_name or box.class_name):
        return Reason.NO_CLASS, f"in {box.image} it has no class that the file declares."
    return None


def place_boxes(
    labels: BoxSet,
    image: int,
    size_px: tuple[int, int],
    class_names: Sequence[str],
    *,
    orientation: Orientation = UPRIGHT,
) -> tuple[PlacedShapes, tuple[LabelReject, ...]]:
    """Returns the boxes of one image, clipped to its edges.

    Args:
        labels: from `read_boxes`.
        image: its index in `labels.images`.
        size_px: height and width of the image, upright.
        class_names: of the run, in the order of their indexes.
        orientation: of the stored image; boxes are given in stored pixels and returned upright.

    Returns:
        The boxes, and rejects for those outside the image or whose class is not among
        the names.

    Raises:
        ImageSizeError: the labels give the image another size.
    """
    named = labels.images[image]
    height, width = orientation.shape(*size_px)
    if named.size_px not in (None, (height, width)):
        size = " x ".join(map(str, named.size_px or ()))
        raise ImageSizeError(
            f"{labels.source} has boxes of {named.name} in {size} pixels (height x width); the "
            f"image has {height} x {width}"
        )
    own = np.flatnonzero(labels.image_of == image)
    frame = shapely.box(0, 0, width, height)
    cut = shapely.intersection(labels.geometries[own], frame)
    inside = shapely.area(cut) > 0
    outside = tuple(
        labels.reject(
            place,
            Reason.OUTSIDE_IMAGE,
            f"it lies outside {named.name}, which has {height} x {width} pixels.",
        )
        for place in own[~inside].tolist()
    )
    upright = _upright(cut[inside], orientation, size_px)
    shapes, unknown = keep_known(labels, upright, own[inside], class_names)
    return shapes, (*outside, *unknown)


def _upright(
    boxes: npt.NDArray[np.object_], orientation: Orientation, size_px: tuple[int, int]
) -> npt.NDArray[np.object_]:
    if orientation.is_upright:
        return boxes
    a, b, c, d, e, f = (~orientation.to_stored(*size_px))[:6]
    moved: npt.NDArray[np.object_] = shapely.transform(
        boxes, lambda points: points @ np.array([[a, d], [b, e]]) + (c, f)
    )
    return moved


def unplaced_boxes(labels: BoxSet, used: Collection[int]) -> tuple[LabelReject, ...]:
    """Returns rejects for the boxes in images other than those used, given by index."""
    return tuple(
        labels.reject(
            place,
            Reason.OUTSIDE_SCENES,
            f"the source has no image {labels.images[image].name}.",
        )
        for place, image in enumerate(labels.image_of.tolist())
        if image not in used
    )
