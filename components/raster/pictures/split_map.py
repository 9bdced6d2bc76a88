"""Map of the tiles of each split."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from components.raster.errors import DataError
from components.raster.example import SPLITS
from components.raster.pictures.scale_bar import length_text, round_length
from components.raster.scene.grid import Floats
from components.raster.spatial.places import TileFootprints

SPLIT_COLOURS = {"train": (0, 114, 178), "eval": (230, 159, 0), "test": (0, 158, 115)}
_LEFT_OUT = (190, 190, 190)
_DEGREE_M = 111_195.0
_LEGEND_PX = 28
_LEAST_TILE_PX = 6
_MARGIN_PX = 16


def split_map(
    places: TileFootprints, splits: Sequence[str | None], *, side_px: int = 1000
) -> Image.Image:
    """Draws every tile's footprint in its split's colour, grey if it is in none.

    Longitudes are scaled by the cosine of the middle latitude, so that shapes look right there.

    Raises:
        DataError: no tile has a place on a map.
    """
    known = np.flatnonzero(np.isfinite(places.corners).all(axis=(1, 2)))
    if not len(known):
        raise DataError("No tile has a place on a map, so none can be drawn.")
    corners = places.corners[known].copy()
    corners[..., 0] += np.round((corners[0, 0, 0] - corners[..., 0]) / 360) * 360
    middle = (corners[..., 1].min() + corners[..., 1].max()) / 2
    flat = corners * np.array([np.cos(np.radians(middle)), 1.0])
    west, north = flat[..., 0].min(), flat[..., 1].max()
    extent = max(float(np.ptp(flat[..., 0])), float(np.ptp(flat[..., 1])), 1e-9)
    scale = (side_px - 2 * _MARGIN_PX) / extent
    xy = np.stack([(flat[..., 0] - west) * scale, (north - flat[..., 1]) * scale], -1) + _MARGIN_PX
    width, height = (int(np.ceil(edge)) + _MARGIN_PX for edge in xy.max(axis=(0, 1)).tolist())
    image = Image.new("RGB", (max(width, 420), height + _LEGEND_PX), "white")
    draw = ImageDraw.Draw(image)
    for outline, index in zip(xy.tolist(), known.tolist(), strict=True):
        colour = SPLIT_COLOURS.get(splits[index] or "", _LEFT_OUT)
        _draw_tile(draw, np.array(outline), colour)
    _draw_legend(draw, image.size, splits, scale / _DEGREE_M)
    return image


def _draw_tile(draw: ImageDraw.ImageDraw, outline: Floats, colour: tuple[int, int, int]) -> None:
    """Draws a footprint, or a dot if it would be too small to see."""
    if np.ptp(outline, axis=0).max() >= _LEAST_TILE_PX:
        draw.polygon([tuple(corner) for corner in outline.tolist()], fill=colour, outline="white")
        return
    x, y = outline.mean(axis=0).tolist()
    radius = _LEAST_TILE_PX / 2
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)


def _draw_legend(
    draw: ImageDraw.ImageDraw,
    size: tuple[int, int],
    splits: Sequence[str | None],
    pixels_per_m: float,
) -> None:
    top, left, font = size[1] - _LEGEND_PX + 6, _MARGIN_PX, ImageFont.load_default()
    names = [*SPLITS, *([None] if None in splits else [])]
    for name in names:
        draw.rectangle(
            (left, top, left + 12, top + 12), fill=SPLIT_COLOURS.get(name or "", _LEFT_OUT)
        )
        text = f"{name or 'left out'} {sum(split == name for split in splits)}"
        draw.text((left + 17, top), text, fill="black", font=font)
        left += 30 + int(font.getlength(text))
    length_m = round_length(80 / pixels_per_m)
    right = size[0] - _MARGIN_PX
    draw.line((right - length_m * pixels_per_m, top + 14, right, top + 14), fill="black", width=2)
    text = length_text(length_m)
    draw.text((right - font.getlength(text), top - 2), text, fill="black", font=font)
