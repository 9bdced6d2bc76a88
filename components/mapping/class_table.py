"""Names, colours and counts of a raster's classes, for GDAL's side file and for STAC."""

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from components.mapping.product import Output
from components.raster.opencv import opencv
from components.raster.pictures.colours import RGB
from components.raster.stac_classes import stac_class_names

#: Columns of GDAL's raster attribute table: name, type (0 integer, 2 text) and usage.
_COLUMNS = (
    ("Value", 0, 5),
    ("Class", 2, 2),
    ("Red", 0, 6),
    ("Green", 0, 7),
    ("Blue", 0, 8),
    ("Count", 0, 1),
)
#: About the number of pixels counted at a time, which fit into a core's cache.
_COUNTED_PX = 1 << 16
#: Most classes that are counted one by one.
_FEW = 12
#: Extension of `ClassTable.stac_fields`.
CLASSIFICATION_EXTENSION = "https://stac-extensions.github.io/classification/v2.0.0/schema.json"


@dataclass(frozen=True)
class ClassTable:
    """Classes of a raster by their index.

    Attributes:
        names: of the classes.
        colours: of the classes.
        counts: pixels of each.
    """

    names: Sequence[str]
    colours: Sequence[RGB]
    counts: Sequence[int]

    def write(self, raster: Path) -> Output:
        """Writes the side file in which GDAL, and thus QGIS, looks for a raster attribute table."""
        band = ET.Element("PAMRasterBand", band="1")
        categories = ET.SubElement(band, "CategoryNames")
        for name in self.names:
            ET.SubElement(categories, "Category").text = _text(name)
        table = ET.SubElement(band, "GDALRasterAttributeTable", tableType="thematic")
        for index, (name, kind, usage) in enumerate(_COLUMNS):
            column = ET.SubElement(table, "FieldDefn", index=str(index))
            for tag, value in (("Name", name), ("Type", kind), ("Usage", usage)):
                ET.SubElement(column, tag).text = str(value)
        rows = zip(self.names, self.colours, self.counts, strict=True)
        for index, (name, colour, count) in enumerate(rows):
            row = ET.SubElement(table, "Row", index=str(index))
            for value in (index, _text(name), *colour, count):
                ET.SubElement(row, "F").text = str(value)
        root = ET.Element("PAMDataset")
        root.append(band)
        ET.indent(root)
        path = raster.with_name(f"{raster.name}.aux.xml")
        # GDAL assumes UTF-8, and does not read a file that declares it.
        path.write_text(ET.tostring(root, encoding="unicode"), encoding="utf-8")
        title = "Names, colours and counts of the classes"
        return Output("class_table", path, "application/xml", title)

    def stac_fields(self) -> dict[str, Any]:
        """Returns the classes as fields of the raster's STAC asset."""
        plain = stac_class_names(self.names)
        rows = zip(plain, self.names, self.colours, self.counts, strict=True)
        classes = [
            {
                "value": index,
                "name": name,
                "title": title,
                "color_hint": "".join(f"{part:02X}" for part in colour),
                "count": count,
            }
            for index, (name, title, colour, count) in enumerate(rows)
        ]
        return {"classification:classes": classes}


def counts_of(pixels: npt.NDArray[np.generic], classes: int) -> npt.NDArray[np.int64]:
    """Counts the pixels (H, W) of each class; others are nodata."""
    counts = np.zeros(classes, np.int64)
    cv, step = opencv(), max(1, _COUNTED_PX // max(pixels.shape[1], 1))
    for top in range(0, len(pixels), step):
        part = pixels[top : top + step]
        if classes > _FEW:
            counts += (
                cv.calcHist([part], [0], None, [classes], [0, classes]).ravel().astype(np.int64)
            )
            continue
        # A histogram waits for its last count wherever neighbours have the same class.
        for index in range(classes):
            counts[index] += cv.countNonZero(np.equal(part, index).view(np.uint8))
    return counts


def _text(name: str) -> str:
    """Returns a name without the characters that XML cannot hold."""
    return "".join(it for it in name if it.isprintable())
