"""A finished class map, read in strips."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rasterio.io import DatasetReader
from rasterio.windows import Window

from components.assessment.estimators import Floats, Integers
from components.assessment.ground_area import window_area_m2
from components.raster.errors import DataError
from components.raster.library_errors import translated
from components.raster.scene.gdal import grid_of, opened
from components.raster.scene.grid import Grid

#: Rows read at a time: one row of blocks of a tiled file.
STRIP_ROWS = 512
#: Size of the parts of a strip whose pixels are taken to have the same area.
_CHUNK_ROWS, _CHUNK_COLS = 64, 512
#: Largest ratio of pixel areas within a map: a sample of pixels must represent area.
_MAX_AREA_RATIO = 1.02

Classes = npt.NDArray[np.int64]


@contextmanager
def opened_raster(path: Path) -> Iterator[DatasetReader]:
    """Opens a raster; raises DataError if it cannot be read."""
    with (
        translated(lambda why: DataError(f"{path} cannot be read: {why}.")),
        opened(str(path)) as dataset,
    ):
        yield dataset


@dataclass(frozen=True)
class FinishedMap:
    """A class map.

    Attributes:
        path: the file.
        grid: georeference.
        classes: name of each class, by index.
        nodata: value of pixels without an answer; None if every pixel has one.
    """

    path: Path
    grid: Grid
    classes: tuple[str, ...]
    nodata: int | None

    def strips(self) -> Iterator[tuple[int, Classes]]:
        """Yields (first row, class indexes (R, W)); -1 marks pixels without an answer.

        Raises:
            DataError: a block cannot be read, or a value is not a class.
        """
        with opened_raster(self.path) as dataset:
            for row in range(0, self.grid.height_px, STRIP_ROWS):
                yield row, self._indexes(_read(dataset, row, self.grid), row)

    def at(self, xs: Floats, ys: Floats) -> Integers:
        """Returns the class at map coordinates; -1 outside the map or without an answer."""
        found = np.full(len(xs), -1, np.int64)
        rows, cols = (np.floor(it).astype(np.int64) for it in self.grid.to_pixels(xs, ys))
        inside = (
            (rows >= 0) & (rows < self.grid.height_px) & (cols >= 0) & (cols < self.grid.width_px)
        )
        for first, strip in self.strips():
            here = inside & (rows >= first) & (rows < first + len(strip))
            found[here] = strip[rows[here] - first, cols[here]]
        return found

    def _indexes(self, values: npt.NDArray[np.generic], row: int) -> Classes:
        numbers = values.astype(np.int64)
        known = np.ones(numbers.shape, bool) if self.nodata is None else numbers != self.nodata
        wrong = known & ((numbers < 0) | (numbers >= len(self.classes)) | (numbers != values))
        if wrong.any():
            at = np.argwhere(wrong)[0]
            raise DataError(
                f"{self.path}: the pixel in row {row + at[0]}, column {at[1]} has the value "
                f"{values[tuple(at)]}, but the map has {len(self.classes)} classes "
                f"({', '.join(self.classes)}). Name all its classes with --classes, or the value "
                "without data in the file."
            )
        return np.where(known, numbers, -1)


@dataclass(frozen=True, eq=False)
class MapExtent:
    """Coverage of a map: pixels and ground area of each class.

    Attributes:
        pixels: of each class, (K,).
        area_m2: of each class on the ground, (K,); None for a map without a CRS.
    """

    pixels: Integers
    area_m2: Floats | None


def open_class_map(path: Path, classes: Sequence[str] = ()) -> FinishedMap:
    """Opens a class map: one band of integers.

    Args:
        path: a raster that GDAL reads.
        classes: name of each class by index; default: those stated in the file.

    Raises:
        DataError: the file is not a class map, or nothing names its classes.
    """
    with opened_raster(path) as dataset:
        if dataset.count != 1 or not np.issubdtype(np.dtype(dataset.dtypes[0]), np.integer):
            raise DataError(
                f"{path} is not a map of classes: it has {dataset.count} bands of "
                f"{dataset.dtypes[0]}, where a map has one of whole numbers."
            )
        grid = grid_of(dataset)
        named = tuple(classes) or names_in(dataset.tags(1))
        nodata = dataset.nodata
    if not named:
        raise DataError(
            f"{path} does not name its classes: give --classes, in the order of values."
        )
    if len(set(named)) < len(named):
        raise DataError(f"{path} has two classes of one name: {', '.join(named)}.")
    return FinishedMap(path, grid, named, None if nodata is None else int(nodata))


def names_in(tags: Mapping[str, str]) -> tuple[str, ...]:
    """Returns the class names that a band's metadata lists."""
    return tuple(filter(None, tags.get("CLASSES", "").split("\t")))


def extent_of(source: FinishedMap) -> MapExtent:
    """Counts the pixels of each class and measures their ground area, in one pass.

    Raises:
        DataError: pixel areas differ too much for a sample of pixels to represent area.
    """
    pixels = np.zeros(len(source.classes), np.int64)
    area = np.zeros(len(source.classes))
    sizes = []
    for row, strip in source.strips():
        for down, col, chunk in _chunks(strip):
            counts = np.bincount(chunk[chunk >= 0], minlength=len(source.classes))
            if not counts.any():
                continue
            pixels += counts
            if source.grid.crs is not None:
                size = window_area_m2(source.grid, row + down, col, *chunk.shape) / chunk.size
                area += counts * size
                sizes.append(size)
    if not pixels.any():
        raise DataError(f"{source.path} has no pixel with an answer.")
    _refuse_unequal(source.path, sizes)
    return MapExtent(pixels, area if sizes else None)


def _chunks(strip: Classes) -> Iterator[tuple[int, int, Classes]]:
    """Yields (first row, first column, part) of a strip."""
    for down in range(0, strip.shape[0], _CHUNK_ROWS):
        for col in range(0, strip.shape[1], _CHUNK_COLS):
            yield down, col, strip[down : down + _CHUNK_ROWS, col : col + _CHUNK_COLS]


def _refuse_unequal(path: Path, sizes: Sequence[float]) -> None:
    if not sizes:
        return
    ratio = max(sizes) / min(sizes) if min(sizes) > 0 else float("inf")
    if not ratio <= _MAX_AREA_RATIO:
        raise DataError(
            f"{path}: pixels differ in area by {ratio - 1:.0%}, so a sample of pixels does not "
            "represent area. Warp the map to an equal-area CRS (such as EPSG:6933, nearest "
            "neighbour) and assess that."
        )


def _read(dataset: DatasetReader, row: int, grid: Grid) -> npt.NDArray[np.generic]:
    height = min(STRIP_ROWS, grid.height_px - row)
    values: npt.NDArray[np.generic] = dataset.read(1, window=Window(0, row, grid.width_px, height))
    return values
