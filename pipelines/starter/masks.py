"""Finds masks beside images and proposes their legend, for a first configuration."""

import os
from collections.abc import Sequence

import numpy as np
from PIL import Image

from components.ingest.listing.folders import IMAGE_SUFFIXES
from components.ingest.photographs.masks import VALUE_MODES
from components.raster.errors import DataError
from components.raster.labels.class_raster import ClassLegend, colour_codes, colour_text
from components.raster.location import is_remote, local_path

_IMAGES = ("images", "image", "img", "imgs", "photos")
_MASKS = ("masks", "mask", "labels", "label", "annotations")
#: Masks with more values or colours hold no classes: lossy files, heights, instances.
_MOST_CLASSES = 64


def folder_pair(folder: str) -> tuple[str, str] | None:
    """Returns the folders of images and of their masks if a folder holds exactly these two."""
    below = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir())
    visible = [name for name in below if not name.startswith(".")]
    images = [name for name in visible if name.lower() in _IMAGES]
    masks = [name for name in visible if name.lower() in _MASKS]
    if len(visible) != 2 or len(images) != 1 or len(masks) != 1:
        return None
    pair = os.path.join(folder, images[0]), os.path.join(folder, masks[0])
    return pair if _holds_images(pair[1]) else None


def legend_of(masks: Sequence[str]) -> ClassLegend:
    """Returns a legend with a class for each value or colour in some masks, for the user to name.

    Raises:
        DataError: no mask can be read, or they hold too many values for classes.
    """
    values, colours = set[int](), set[int]()
    for uri in masks:
        try:
            with Image.open(uri if is_remote(uri) else local_path(uri)) as image:
                if image.mode in VALUE_MODES:
                    values |= set(np.unique(np.asarray(image).astype(np.int64)).tolist())
                else:
                    codes = colour_codes(np.asarray(image.convert("RGB")))
                    colours |= set(np.unique(codes).tolist())
        except (OSError, Image.DecompressionBombError):
            continue
    found = colours or values
    if not 2 <= len(found) <= _MOST_CLASSES or (colours and values):
        raise DataError(
            f"{len(masks)} masks such as {next(iter(masks), 'none')}: they hold {len(values)} "
            f"values and {len(colours)} colours, and 2 to {_MOST_CLASSES} of one kind are classes. "
            "Write the source by hand, with a legend that names them (docs/ingest.md)."
        )
    if colours:
        return ClassLegend(
            colours={
                colour_text(code): f"class_{colour_text(code)[1:]}" for code in sorted(colours)
            }
        )
    return ClassLegend(values={value: f"class_{value}" for value in sorted(values)})


def _holds_images(folder: str) -> bool:
    names = (name for _, _, files in os.walk(folder) for name in files)
    return any(os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES for name in names)
