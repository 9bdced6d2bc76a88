"""Small picture of a whole scene, with its tiles drawn over it."""

from collections.abc import Iterable

import numpy as np
from PIL import Image, ImageDraw

from components.raster.pictures.stretch import Picture, picture_of, stretch_of
from components.raster.scene.gdal import opened
from components.raster.tiles.key import TileKey, Window
from components.raster.tiles.reading import read_window
from components.raster.tiles.valid_mask import stored_nodata, valid_by_value
from components.raster.tiles.view import View

_GRID_RGB = (255, 220, 0)
_REJECT_RGB = (220, 40, 40)


def scene_picture(view: View, bands: tuple[int, ...], *, side_px: int = 1024) -> Picture:
    """Reads a reduced picture of a view, with at most `side_px` pixels on its longer side.

    Files are read through their overviews, if they have any; masks other than nodata values are
    ignored in a reduced picture.
    """
    grid = view.grid
    scale = min(1.0, side_px / max(grid.height_px, grid.width_px))
    shape = (max(1, round(grid.height_px * scale)), max(1, round(grid.width_px * scale)))
    if scale == 1.0 or view.resampling is not None:
        step = max(1, round(1 / scale))
        pixels, valid = read_window(view, Window(0, 0, grid.height_px, grid.width_px))
        pixels, valid = pixels[::step, ::step], valid[::step, ::step]
    else:
        pixels = np.empty((*shape, len(view.bands)), view.read_dtype)
        for place, band in enumerate(view.bands):
            with opened(band.file.path, band.file.page) as dataset:
                way = band.file.orientation
                stored = dataset.read(band.index, out_shape=way.shape(*shape))
                pixels[..., place] = way.upright(stored)
        nodata = [stored_nodata(band.nodata, view.read_dtype) for band in view.bands]
        valid = valid_by_value(pixels, nodata, view.valid_when)
        pixels = view.values_of(pixels)
    return picture_of(pixels, valid, bands, stretch_of([(pixels, valid)], bands))


def with_tiles(
    picture: Picture,
    grid_shape: tuple[int, int],
    tiles: Iterable[TileKey],
    rejected: Iterable[TileKey] = (),
) -> Image.Image:
    """Draws the outlines of tiles on a scene's picture; rejected ones in red.

    Args:
        picture: (H, W, 3), of the whole scene at any size.
        grid_shape: (rows, columns) of the scene.
        tiles: to outline.
        rejected: to outline in red, over the others.
    """
    image = Image.fromarray(picture)
    draw = ImageDraw.Draw(image)
    down, right = picture.shape[0] / grid_shape[0], picture.shape[1] / grid_shape[1]
    for keys, colour in ((tiles, _GRID_RGB), (rejected, _REJECT_RGB)):
        for key in keys:
            window = key.window
            edges = (
                window.col * right,
                window.row * down,
                window.right * right - 1,
                window.bottom * down - 1,
            )
            if edges[2] >= edges[0] and edges[3] >= edges[1]:
                draw.rectangle(edges, outline=colour)
    return image
