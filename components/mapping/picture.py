"""Picture of a map: scene and answer side by side, with a legend and a scale bar."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from components.raster.pictures.fonts import font
from components.raster.pictures.scale_bar import length_text, round_length
from components.raster.pictures.sheet import Entry
from components.raster.pictures.stretch import Picture

#: Colour of nodata.
UNKNOWN_RGB = (40, 42, 48)
_BACKGROUND, _INK = (24, 26, 30), (235, 235, 235)
_MARGIN_PX, _LINE_PX, _FONT_PX, _SWATCH_PX = 12, 22, 15, 14
_LEAST_SIDE_PX = 320


def map_picture(
    scene: Picture, answer: Picture, legend: Sequence[Entry], title: str, pixel_m: float | None
) -> Image.Image:
    """Draws the picture of a map.

    Args:
        scene: (H, W, 3).
        answer: of the same shape.
        legend: names and colours of the answer.
        title: first line.
        pixel_m: size of a picture's pixel on the ground, for the scale bar; None without a CRS.
    """
    enlarged = max(1, -(-_LEAST_SIDE_PX // max(scene.shape[:2])))
    pictures = [np.kron(it, np.ones((enlarged, enlarged, 1), np.uint8)) for it in (scene, answer)]
    height, width = pictures[0].shape[:2]
    rows = -(-len(legend) // max(1, width * 2 // 220))
    top = _MARGIN_PX + _LINE_PX
    size = (2 * width + 3 * _MARGIN_PX, top + height + (rows + 1) * _LINE_PX + 2 * _MARGIN_PX)
    image = Image.new("RGB", size, _BACKGROUND)
    draw = ImageDraw.Draw(image)
    draw.text((_MARGIN_PX, _MARGIN_PX - 4), title, fill=_INK, font=font(_FONT_PX))
    for number, picture in enumerate(pictures):
        left = _MARGIN_PX + number * (width + _MARGIN_PX)
        image.paste(Image.fromarray(picture.astype(np.uint8)), (left, top))
    if pixel_m is not None:
        _draw_scale(draw, (_MARGIN_PX, top + height + 6), width, pixel_m / enlarged)
    columns = max(1, width * 2 // 220)
    for place, (name, colour) in enumerate(legend):
        left = _MARGIN_PX + place % columns * 220
        line = top + height + (1 + place // columns) * _LINE_PX + _MARGIN_PX
        draw.rectangle((left, line, left + _SWATCH_PX, line + _SWATCH_PX), fill=colour)
        draw.text((left + _SWATCH_PX + 6, line - 2), name[:26], fill=_INK, font=font(_FONT_PX))
    return image


def _draw_scale(
    draw: ImageDraw.ImageDraw, corner: tuple[int, int], width_px: int, pixel_m: float
) -> None:
    """Draws a bar of a round length, at most a third of the picture wide."""
    length = round_length(width_px / 3 * pixel_m)
    left, top = corner
    right = left + round(length / pixel_m)
    draw.rectangle((left, top, right, top + 4), fill=_INK)
    draw.text((right + 8, top - 8), length_text(length), fill=_INK, font=font(_FONT_PX))
