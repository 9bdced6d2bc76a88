"""Pictures for the people who label: the image around a unit and the map's answer."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw
from rasterio.io import DatasetReader
from rasterio.windows import Window

from components.assessment.class_map import FinishedMap, opened_raster
from components.assessment.record import Design, Unit
from components.raster.errors import DataError
from components.raster.pictures.colours import class_colours
from components.raster.pictures.stretch import Picture, choose_bands, picture_of, stretch_of
from components.raster.scene.gdal import grid_of
from components.raster.scene.grid import reproject
from components.raster.tiles.valid_mask import Mask

IMAGE_FOLDER, ANSWER_FOLDER = "images", "answers"
_MARK = (255, 255, 0)
_UNKNOWN = (0, 0, 0)
_SIDE_PX = 512


def write_chips(
    folder: Path, design: Design, source: FinishedMap, image: Path, side_px: int = 64
) -> int:
    """Writes PNGs of each unit's surroundings: the image and the map's answer.

    Answers go into a separate folder, since an analyst who sees them first is biased by them. The
    unit's pixel has a yellow outline. Returns how many units the image does not cover.

    Raises:
        DataError: the image cannot be read, or only one of image and map has a CRS.
    """
    for name in (IMAGE_FOLDER, ANSWER_FOLDER):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for unit, answer in _answers(design, source, side_px):
        _save(answer, folder / ANSWER_FOLDER / f"{unit.id:05}.png")
    missing = 0
    for unit, picture in _images(design, image, side_px):
        if picture is None:
            missing += 1
        else:
            _save(picture, folder / IMAGE_FOLDER / f"{unit.id:05}.png")
    return missing


def _answers(design: Design, source: FinishedMap, side_px: int) -> Iterator[tuple[Unit, Picture]]:
    colours = np.array([*class_colours(len(source.classes)), _UNKNOWN], np.uint8)
    unknown = len(source.classes)
    with opened_raster(source.path) as dataset:
        for unit in design.units:
            stored, inside = _around(dataset, [1], unit.row, unit.column, side_px)
            indexes = stored[..., 0].astype(np.int64)
            known = inside & (indexes >= 0) & (indexes < unknown)
            if source.nodata is not None:
                known &= indexes != source.nodata
            yield unit, colours[np.where(known, indexes, unknown)]


def _images(design: Design, image: Path, side_px: int) -> Iterator[tuple[Unit, Picture | None]]:
    with opened_raster(image) as dataset:
        grid = grid_of(dataset)
        if (grid.crs is None) != (design.crs is None):
            raise DataError(f"{image} and the map have no CRS in common.")
        xs, ys = np.array([u.x for u in design.units]), np.array([u.y for u in design.units])
        if grid.crs is not None and design.crs is not None:
            xs, ys = reproject(design.crs, grid.crs, xs, ys)
        rows, cols = (np.floor(it) for it in grid.to_pixels(xs, ys))
        bands = [index + 1 for index in choose_bands(tuple(map(str, dataset.indexes)))]
        shown = tuple(range(len(bands)))
        for unit, row, col in zip(design.units, rows.tolist(), cols.tolist(), strict=True):
            if not (0 <= row < grid.height_px and 0 <= col < grid.width_px):
                yield unit, None
                continue
            values, valid = _around(dataset, bands, int(row), int(col), side_px)
            stretch = stretch_of([(values, valid)], shown)
            yield unit, picture_of(values, valid, shown, stretch, nodata_rgb=_UNKNOWN)


def _around(
    dataset: DatasetReader, bands: list[int], row: int, col: int, side_px: int
) -> tuple[npt.NDArray[np.generic], Mask]:
    """Reads the square around a pixel: values (S, S, C) and their valid mask (S, S)."""
    top, left = row - side_px // 2, col - side_px // 2
    first_row, first_col = max(top, 0), max(left, 0)
    height = min(top + side_px, dataset.height) - first_row
    width = min(left + side_px, dataset.width) - first_col
    read = dataset.read(bands, window=Window(first_col, first_row, width, height), masked=True)
    known = ~np.ma.getmaskarray(read).any(axis=0) & np.isfinite(read.data).all(axis=0)
    values = np.zeros((side_px, side_px, len(bands)), read.dtype)
    valid = np.zeros((side_px, side_px), bool)
    here = np.s_[first_row - top :, first_col - left :]
    values[here][:height, :width] = np.moveaxis(read.data, 0, 2)
    valid[here][:height, :width] = known
    return values, valid


def _save(picture: Picture, path: Path) -> None:
    side_px = len(picture)
    factor = max(1, _SIDE_PX // side_px)
    enlarged = Image.fromarray(picture).resize(
        (side_px * factor, side_px * factor), Image.Resampling.NEAREST
    )
    first = side_px // 2 * factor
    ImageDraw.Draw(enlarged).rectangle(
        (first - 1, first - 1, first + factor, first + factor), outline=_MARK
    )
    enlarged.save(path, "PNG", compress_level=1)
