"""Photographs with masks: pairing, and the meaning of mask pixels."""

import io
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError
from rasterio.io import MemoryFile

from components.ingest.listing.folders import is_within, list_files
from components.ingest.photographs.config import MaskedSource, MaskLegend
from components.ingest.photographs.source import Photographs
from components.ingest.photographs.truth import TruthReader
from components.ingest.records.record import Contents, Record, Records
from components.ingest.records.reject import Reject
from components.raster.labels.class_raster import (
    ClassLegend,
    colour_codes,
    colour_text,
    encode,
)
from components.raster.labels.targets import MaskPixels, ignore_value
from components.raster.pairing import file_name, pair
from components.raster.reasons import Reason
from components.raster.scene.gdal import page_count
from components.raster.truth.value import Truth
from components.raster.walk import UNUSED_MASK
from serving.client.raster_reading import is_tiff

#: Image modes whose samples are values, not colours.
VALUE_MODES = {"1", "L", "P", "I", "I;16", "I;16B"}
_SHOWN = 5
_REMEDY = "write it as PNG, or as TIFF of 8 or 16 bits (gdal_translate -ot Byte)"


def list_masked(source: MaskedSource) -> Contents:
    """Lists a record for each image that has a mask, and a reject for each that has none.

    Masks without an image are counted as ignored.

    Raises:
        DataError: there is no such folder.
    """
    found, masks = list_files(source.uri, apart=source.masks), list_files(source.masks)
    keys = [record.key for record in found.records]
    mask_keys = [mask.key for mask in masks.records]
    mask_uris = [mask.uri for mask in masks.records]
    pairs = pair([[file_name(key)] for key in keys], list(map(file_name, mask_keys)))
    named = Records()
    for place, record in enumerate(found.records):
        mask = pairs.truth_of[place]
        if mask is not None:
            mask_uri, group = mask_uris[mask], source.group_of(record.key)
            named.append(record._replace(mask_uri=mask_uri, group=group))
        elif place in pairs.disputes:
            detail = f"in {source.masks} {pairs.disputes[place].explain(keys, mask_keys)}"
            found.rejects.append(Reject(record.key, record.uri, Reason.AMBIGUOUS_TRUTH, detail))
        else:
            detail = f"no mask in {source.masks} is named {record.key}, apart from the suffix"
            found.rejects.append(Reject(record.key, record.uri, Reason.NO_MASK, detail))
    found.records, found.classes = named, source.legend_classes
    found.rejects += masks.rejects
    if not is_within(source.uri, source.masks):  # the others are counted already
        unused = Counter({UNUSED_MASK: len(mask_keys) - len(pairs.used)})
        found.ignored += masks.ignored + unused
    return found


class MaskedPhotographs(Photographs[MaskedSource]):
    """Photographs in one folder, and their masks in another."""

    def find(self) -> Contents:
        """Lists the images, each with its mask."""
        return list_masked(self.source)

    def truth_of(self, classes: Sequence[str]) -> TruthReader:
        """Returns the reader of the masks."""
        return PhotographMaskReader(self.source, classes)


class PhotographMaskReader:
    """Reads masks as class indices: a `TruthReader`.

    Args:
        source: with a legend.
        classes: class names in the order of their indices.

    Raises:
        ConfigError: the legend has a class that is not among these.
    """

    def __init__(self, source: MaskLegend, classes: Sequence[str]) -> None:
        assert source.legend is not None
        self._legend, self._undeclared = source.legend, source.undeclared
        self._classes = tuple(classes)
        encode(np.zeros((1, 1), np.uint8), self._legend, self._classes)  # the legend's classes

    def __call__(
        self, record: Record, mask: bytes | None, height: int, width: int
    ) -> Truth | Reject:
        """Returns the mask of an image of that shape, or a reject for an unusable image."""
        if mask is None:
            return Truth()
        outcome = self._pixels(mask, height, width)
        if isinstance(outcome, tuple):
            return Reject(record.key, record.uri, *outcome)
        return Truth(mask=outcome)

    def _pixels(self, data: bytes, height: int, width: int) -> MaskPixels | tuple[Reason, str]:
        try:
            # Opening reads only the header; the image's own size was within bounds.
            with Image.open(io.BytesIO(data)) as image:
                if image.size != (width, height):
                    shape = f"{image.height} x {image.width}"
                    return Reason.MASK_DIFFERS, f"mask of {shape}, image {height} x {width} px"
                if image.mode == "F":
                    return Reason.MASK_DIFFERS, f"the mask holds floating-point numbers; {_REMEDY}"
                codes = _codes(image, self._legend)
            if (pages := _pages(data)) > 1:
                return (
                    Reason.SEVERAL_PAGES,
                    f"the mask has {pages} pages; only one can be the image's",
                )
        except UnidentifiedImageError:
            return Reason.UNREADABLE, f"the mask is not an image that can be read; {_REMEDY}"
        except Exception as error:  # Pillow raises many exceptions for a broken file
            return Reason.UNREADABLE, f"the mask: {type(error).__name__}: {error}"
        if codes is None:
            return Reason.MASK_DIFFERS, "the legend has values, but the mask has colours"
        found = encode(codes, self._legend, self._classes)
        if found.undeclared and self._undeclared == "reject":
            return Reason.UNKNOWN_CLASS, _undeclared(found.undeclared, self._legend)
        if (found.pixels == ignore_value(len(self._classes))).all():
            return Reason.NO_CLASS, "no pixel of the mask has a class"
        return found.pixels


def _codes(image: Image.Image, legend: ClassLegend) -> npt.NDArray[np.integer] | None:
    """Returns values or colour codes (H, W); None for a legend of values and a colour image."""
    if legend.colours:
        return colour_codes(np.asarray(image.convert("RGB")))
    return np.asarray(image).astype(np.int64) if image.mode in VALUE_MODES else None


def _pages(data: bytes) -> int:
    if not is_tiff(data[:4]):
        return 1
    with MemoryFile(data) as file:
        return page_count(file.name)


def _undeclared(found: Mapping[int, int], legend: ClassLegend) -> str:
    ranked = sorted(found.items(), key=lambda item: -item[1])[:_SHOWN]
    named = (f"{colour_text(code) if legend.colours else code} ({n} pixels)" for code, n in ranked)
    return (
        f"the legend lacks {', '.join(named)}: declare them in source.legend, or set "
        "source.undeclared: ignore"
    )
