"""Pixel codes of class rasters and masks on a scene's grid, and the check against the legend."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from components.ingest.rasters.scenes.labels.config import Undeclared
from components.ingest.rasters.scenes.labels.reader import LabelsRejected
from components.raster.errors import DataError
from components.raster.labels.class_raster import ClassLegend, colour_codes, encode
from components.raster.labels.palette import read_colours
from components.raster.library_errors import LibraryError
from components.raster.reasons import Reason
from components.raster.scene.gdal import opened
from components.raster.scene.orientation import UPRIGHT, Orientation
from components.raster.scene.probe import open_scene
from components.raster.scene.rejects import SceneRejected
from components.raster.scene.scene import BandFile, Scene, SceneSource
from components.raster.tiles.key import Window
from components.raster.tiles.reading import read_window
from components.raster.tiles.valid_mask import Mask
from components.raster.tiles.view import View, view_on
from components.raster.truth.target import Target
from components.raster.truth.value import Truth

Codes = npt.NDArray[np.integer]
#: Pixel codes (H, W) of a window, and a mask of pixels that have one.
CodesAt = Callable[[Window], tuple[Codes, Mask]]

_MASKS_KEPT = 4


@dataclass(frozen=True, eq=False)
class TruthOfCodes:
    """Truth of a scene's tiles from pixel codes on its grid: a `TruthAt`."""

    codes_at: CodesAt
    legend: ClassLegend
    target: Target
    classes: tuple[str, ...]

    def __call__(self, window: Window, valid: Mask) -> Truth | None:
        """Returns the truth of a tile."""
        found, known = self.codes_at(window)
        mask = encode(found, self.legend, self.classes, valid=valid & known).pixels
        return self.target.of_mask(mask, self.classes)


LEGEND_REMEDY = (
    "Correct source.labels.legend, or set source.labels.undeclared: ignore to leave them out."
)


def refuse_undeclared(
    paths: Iterable[Path], band: int, legend: ClassLegend, undeclared: Undeclared
) -> Mapping[Path, str]:
    """Searches all pixels of files for values that no class declares.

    Returns:
        The files that cannot be read, with the reason.

    Raises:
        DataError: there are undeclared values, and `undeclared` requires an error.
    """
    found, first, unreadable = _undeclared_values(paths, band, legend)
    if found and undeclared == "stop":
        shown = ", ".join(f"{value:g} ({count} pixels)" for value, count in found.most_common(10))
        raise DataError(
            f"The labels hold values that no class declares: {shown}; {first} is the first with "
            f"one of them. {LEGEND_REMEDY}"
        )
    return unreadable


def _undeclared_values(
    paths: Iterable[Path], band: int, legend: ClassLegend
) -> tuple[Counter[float], Path | None, dict[Path, str]]:
    """Returns the pixel count of each value that the legend lacks, the first file with each, and
    unreadable files."""
    undeclared: Counter[float] = Counter()
    first, unreadable = None, {}
    for path in paths:
        try:
            counted = _values(path, band)
        except LibraryError as error:
            unreadable[path] = str(error)
            continue
        unknown = {value: n for value, n in counted.items() if value not in legend.codes}
        undeclared.update(unknown)
        first = first or (path if unknown else None)
    return undeclared, first, unreadable


def _values(path: Path, band: int) -> Counter[float]:
    """Counts a file's pixels by value, without NaN and the file's nodata."""
    counted: Counter[float] = Counter()
    with opened(str(path)) as dataset:
        if band > dataset.count:
            raise LibraryError(f"{path} has no band {band}; it has {dataset.count}")
        nodata = dataset.nodatavals[band - 1]
        for _, window in dataset.block_windows(band):
            pixels = dataset.read(band, window=window)
            values, counts = np.unique(pixels[np.isfinite(pixels)], return_counts=True)
            counted.update(dict(zip(values.tolist(), counts.tolist(), strict=True)))
    if nodata is not None:
        del counted[nodata]
    return counted


def class_raster(path: str, legend: ClassLegend) -> Scene:
    """Opens a class raster; a value that the legend declares is a class even if it is nodata."""
    try:
        scene = open_scene(SceneSource(path, (BandFile(path),)), without_map=True)
    except SceneRejected as rejected:
        raise DataError(f"labels {path} cannot be used: {rejected.detail}") from rejected
    bands = (
        replace(band, nodata=None) if band.nodata in legend.values else band for band in scene.bands
    )
    return replace(scene, bands=tuple(bands))


def codes_by_value(scene: Scene, view: View, band: int) -> CodesAt:
    own = view.own_file
    orientation = None if own is None else own.orientation
    try:
        placed = view_on(scene, view.grid, band, orientation=orientation)
    except SceneRejected as rejected:
        detail = f"{scene.scene_id}: {rejected.detail}"
        raise LabelsRejected(Reason.MASK_DIFFERS, detail) from rejected

    def at(window: Window) -> tuple[Codes, Mask]:
        pixels, known = read_window(placed, window)
        values = pixels[..., 0]
        if values.dtype.kind == "f":
            # A value between two codes belongs to no class.
            known = known & (values == np.rint(values))
            values = np.where(known, values, 0)
        return values.astype(np.int64), known

    return at


def codes_by_colour(mask: Path, view: View) -> CodesAt:
    shape, way = (view.grid.height_px, view.grid.width_px), _orientation(mask, view)
    try:
        found = way.shape(*_colours(mask).shape)
    except DataError as error:
        raise LabelsRejected(Reason.UNREADABLE, str(error)) from error
    if found != shape:
        detail = f"{mask} is {found[0]} x {found[1]} pixels, its scene {shape[0]} x {shape[1]}"
        raise LabelsRejected(Reason.MASK_DIFFERS, detail)

    def at(window: Window) -> tuple[Codes, Mask]:
        inside = window.intersection(Window(0, 0, *shape))
        codes = np.zeros((window.height, window.width), np.int64)
        known = np.zeros(codes.shape, np.bool_)
        where = inside.relative_to(window).slices
        codes[where], known[where] = way.upright(_colours(mask))[inside.slices], True
        return codes, known

    return at


def _orientation(mask: Path, view: View) -> Orientation:
    """Returns a mask's orientation: from its own georeference, else that of its scene's file."""
    source = SceneSource(str(mask), (BandFile(str(mask)),))
    try:
        file = open_scene(source, without_map=True).bands[0].file
    except SceneRejected:  # Pillow reads more formats, none with a georeference
        file = None
    if file is None or file.grid.crs is None:
        file = view.own_file
    return UPRIGHT if file is None else file.orientation


@lru_cache(_MASKS_KEPT)
def _colours(mask: Path) -> Codes:
    return colour_codes(read_colours(mask))
