"""Small picture of a scene, taken from its tiles as they pass: no pixel is read twice."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from components.raster.pictures.stretch import Picture, picture_of, stretch_of
from components.raster.tiles.tile import Tile
from components.raster.tiles.view import View

_FILE = "thumbnail.npz"
_SIDE_PX = 1024


class SceneThumbnail:
    """Every n-th pixel of one or three bands."""

    def __init__(self, view: View, side_px: int = _SIDE_PX) -> None:
        height, width = view.grid.height_px, view.grid.width_px
        self.step = max(1, -(-max(height, width) // side_px))
        self._bands = _shown(view)
        self.shape = (-(-height // self.step), -(-width // self.step))
        self._pixels = np.zeros((*self.shape, len(self._bands)), np.float32)
        self._valid = np.zeros(self.shape, np.bool_)

    def add(self, tiles: Sequence[Tile]) -> None:
        """Adds the pixels of tiles."""
        for tile in tiles:
            window = tile.key.window
            rows, cols = -window.row % self.step, -window.col % self.step
            valid = tile.valid[rows :: self.step, cols :: self.step]
            pixels = tile.pixels[rows :: self.step, cols :: self.step]
            top, left = (window.row + rows) // self.step, (window.col + cols) // self.step
            height, width = (
                min(have, whole - start)
                for have, whole, start in zip(valid.shape, self.shape, (top, left), strict=True)
            )
            where = slice(top, top + height), slice(left, left + width)
            self._valid[where] = valid[:height, :width]
            for number, band in enumerate(self._bands):  # indexing by a list takes longer
                self._pixels[*where, number] = pixels[:height, :width, band]

    def picture(self, nodata_rgb: tuple[int, int, int]) -> Picture:
        """Draws the pixels, stretched between percentiles."""
        bands = tuple(range(len(self._bands)))
        stretch = stretch_of([(self._pixels, self._valid)], bands)
        return picture_of(self._pixels, self._valid, bands, stretch, nodata_rgb=nodata_rgb)

    def save(self, folder: Path) -> None:
        """Writes the pixels so far."""
        np.savez(folder / _FILE, pixels=self._pixels, valid=self._valid)

    def load(self, folder: Path) -> None:
        """Restores what `save` wrote."""
        with np.load(folder / _FILE) as found:
            self._pixels, self._valid = found["pixels"], found["valid"]


def _shown(view: View) -> list[int]:
    """Returns red, green and blue by their common names, else the first three bands, or one."""
    names = [band.common_name or band.name for band in view.bands]
    if {"red", "green", "blue"} <= set(names):
        return [names.index(colour) for colour in ("red", "green", "blue")]
    return [0, 1, 2] if len(names) >= 3 else [0]
