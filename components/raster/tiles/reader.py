"""Pixels and masks of a view's windows, from files that one thread holds open."""

from contextlib import ExitStack
from functools import partial
from typing import Self

import numpy as np
from rasterio.enums import Resampling
from rasterio.io import DatasetReader
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window as RasterioWindow

from components.raster.scene.gdal import gdal_env, open_raster, reading
from components.raster.scene.grid import Grid, crs_of, reproject
from components.raster.scene.orientation import UPRIGHT
from components.raster.scene.scene import MaskBand, RasterFile
from components.raster.tiles.key import Window
from components.raster.tiles.valid_mask import (
    Mask,
    Pixels,
    combine,
    stored_nodata,
    valid_by_value,
)
from components.raster.tiles.view import WARPED_BLOCK_PX, View

#: Largest error of a warped pixel's position, in source pixels. GDAL's usual eighth
#: shows when scenes are compared; projecting every pixel exactly is 20 times slower.
WARP_ERROR_PX = 0.01
#: A resampling ratio this close to an integer is rounded to it, as in GDAL itself.
_NEARLY = 0.05
#: Memory of the warper's buffers; more would not speed up windows of a few blocks.
_WARP_MEMORY_MB = 64


class ViewReader:
    """Open files of a view. GDAL's handles are not shared between threads: make one for each.

    Use it as a context manager. Opening and reading raise LibraryError, which names the file.
    """

    def __init__(self, view: View, threads: int = 1) -> None:
        """Opens the files; GDAL may decode the blocks of a window in `threads` threads."""
        self._view = view
        is_warped = view.resampling is not None
        self._env = partial(gdal_env, view.files[0].path, threads, random_access=is_warped)
        self._stack = ExitStack()
        with self._env():
            try:
                self._files = [_OpenFile(view, file, self._stack) for file in view.files]
            except BaseException:
                self._stack.close()
                raise
        self._nodata = [stored_nodata(band.nodata, view.read_dtype) for band in view.bands]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the files."""
        self._stack.close()

    def read(self, window: Window) -> tuple[Pixels, Mask]:
        """Reads pixels (H, W, C) and valid mask (H, W) of a window within the view's grid."""
        read = self._read_once if self._view.resampling is None else self._read_blocks
        numbers, valid = read(window)
        values = self._view.values_of(numbers)
        if values is not numbers:
            # A value may overflow its type.
            valid &= valid_by_value(values, [None] * values.shape[2], self._view.valid_when)
        return values, valid

    def _read_once(self, window: Window) -> tuple[Pixels, Mask]:
        shape = (window.height, window.width, len(self._view.bands))
        pixels = np.empty(shape, self._view.read_dtype)
        # GDAL respects strides: it writes (H, W, C) directly, without a later transposition.
        planes = pixels.transpose(2, 0, 1)
        with self._env():
            for file in self._files:
                file.read_into(planes, window)
            valid = valid_by_value(pixels, self._nodata, self._view.valid_when)
            for file in self._files:
                file.restrict(valid, window, self._view)
        return pixels, valid

    def _read_blocks(self, window: Window) -> tuple[Pixels, Mask]:
        """Assembles a window from whole blocks of the grid.

        The last digit of GDAL's warp depends on the requested window. Always requesting the same
        windows makes a pixel's value depend only on its position.
        """
        step, grid = WARPED_BLOCK_PX, self._view.grid
        extent = Window(0, 0, grid.height_px, grid.width_px)
        shape = (window.height, window.width)
        pixels = np.empty((*shape, len(self._view.bands)), self._view.read_dtype)
        valid = np.empty(shape, np.bool_)
        for row in range(window.row // step * step, window.bottom, step):
            for col in range(window.col // step * step, window.right, step):
                block = Window(row, col, step, step).intersection(extent)
                shared = block.intersection(window)
                found = self._read_once(block)
                here, there = shared.relative_to(window).slices, shared.relative_to(block).slices
                pixels[here], valid[here] = found[0][there], found[1][there]
        return pixels, valid


class _OpenFile:
    """One open file of a view, with the positions of its bands in the output."""

    def __init__(self, view: View, file: RasterFile, stack: ExitStack) -> None:
        self._path = file.path
        placed = [(i, band) for i, band in enumerate(view.bands) if band.file == file]
        self._places = [place for place, _ in placed]
        self._indexes = [band.index for _, band in placed]
        is_warped = view.resampling is not None
        with reading(file.path):
            source = stack.enter_context(open_raster(file.path, file.page, random_access=is_warped))
        self._alpha = file.alpha_index
        self._mask_band = file.mask_band
        self._orientation, self._to_stored = file.orientation, file.to_stored
        self._dataset: DatasetReader | WarpedVRT = source
        if is_warped:
            with reading(file.path):
                warped = _warped(source, view, file, placed[0][1].nodata)
            self._dataset = stack.enter_context(warped)
            self._mask_band = MaskBand.NONE
            self._orientation = UPRIGHT  # GDAL warps a file in any orientation
            if self._dataset.count > source.count:
                self._alpha = self._dataset.count

    def read_into(self, planes: Pixels, window: Window) -> None:
        with reading(self._path):
            self._read_into(planes, window)

    def _read_into(self, planes: Pixels, window: Window) -> None:
        place = self._places
        in_order = place == list(range(place[0], place[0] + len(place)))
        if in_order and self._orientation.is_upright:
            out = planes[place[0] : place[0] + len(place)]
            self._dataset.read(self._indexes, window=_rasterio(window), out=out)
        else:
            stored = self._dataset.read(
                self._indexes, window=self._stored(window), out_dtype=planes.dtype
            )
            planes[place] = self._orientation.upright(stored)

    def restrict(self, valid: Mask, window: Window, view: View) -> None:
        """Clears pixels that the file's own masks mark as invalid."""
        with reading(self._path):
            self._restrict(valid, self._stored(window), view)

    def _restrict(self, valid: Mask, where: RasterioWindow, view: View) -> None:
        upright = self._orientation.upright
        if self._alpha is not None:
            valid &= upright(self._dataset.read(self._alpha, window=where)) != 0
        if self._mask_band is MaskBand.DATASET:
            valid &= upright(self._dataset.read_masks(self._indexes[0], window=where)) != 0
        elif self._mask_band is MaskBand.BAND:
            masks = upright(self._dataset.read_masks(self._indexes, window=where)) != 0
            valid &= combine(iter(masks), view.valid_when)

    def _stored(self, window: Window) -> RasterioWindow:
        """Returns the file's window that stores a window of the grid."""
        if self._orientation.is_upright:
            return _rasterio(window)
        first = self._to_stored * (window.col, window.row)
        last = self._to_stored * (window.right, window.bottom)
        (left, right), (top, bottom) = (
            sorted(map(int, ends)) for ends in zip(first, last, strict=True)
        )
        return RasterioWindow(left, top, right - left, bottom - top)


def _warped(source: DatasetReader, view: View, file: RasterFile, nodata: float | None) -> WarpedVRT:
    """Warps a file onto the view's grid. Nodata, or else an alpha band, marks its edges."""
    stored = stored_nodata(nodata, file.dtype)
    if stored is None and np.dtype(file.dtype).kind == "f":
        stored = np.dtype(file.dtype).type(np.nan)
    grid = view.grid
    assert view.resampling is not None
    assert grid.crs is not None
    row_step, col_step = source_steps(file.grid, grid)
    return WarpedVRT(
        source,
        crs=crs_of(grid.crs),
        transform=grid.transform,
        width=grid.width_px,
        height=grid.height_px,
        resampling=Resampling[view.resampling],
        src_nodata=None if stored is None else float(stored),
        nodata=None if stored is None else float(stored),
        add_alpha=stored is None and file.alpha_index is None,
        tolerance=WARP_ERROR_PX,
        warp_mem_limit=_WARP_MEMORY_MB,
        # Otherwise GDAL would recompute the extent of its filters for each window.
        XSCALE=1 / col_step,
        YSCALE=1 / row_step,
    )


def source_steps(source: Grid, target: Grid) -> tuple[float, float]:
    """Returns a target pixel's (row, column) step in source pixels, at the centre."""
    assert source.crs is not None
    assert target.crs is not None
    row, col = target.height_px / 2, target.width_px / 2
    rows, cols = np.array([row, row + 1, row]), np.array([col, col, col + 1])
    xs, ys = reproject(target.crs, source.crs, *target.to_map(rows, cols))
    found = np.stack(source.to_pixels(xs, ys))
    down, right = np.hypot(*(found[:, 1] - found[:, 0])), np.hypot(*(found[:, 2] - found[:, 0]))
    return _simple(float(down)), _simple(float(right))


def _simple(step: float) -> float:
    """Rounds a step that is nearly an integer, for which GDAL's filters are much faster."""
    if not np.isfinite(step) or step <= 0:
        return 1.0
    whole = max(round(step), 1)
    return float(whole) if abs(step - whole) < _NEARLY else step


def _rasterio(window: Window) -> RasterioWindow:
    return RasterioWindow(window.col, window.row, window.width, window.height)
