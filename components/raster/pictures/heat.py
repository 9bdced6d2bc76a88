"""Heat maps over pictures: the picture, the heat on it, and a bar of its colours."""

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from components.raster.pictures.fonts import font
from components.raster.pictures.stretch import Picture

#: Heat of each pixel [H, W], from 0 to 1.
Heat = npt.NDArray[np.float32]

#: Share of the pixels at full heat, so that one hot pixel does not hide the others.
_FULL_SHARE = 0.01
#: Colours from no heat to full heat: dark to light, and distinct in gray.
_COLOURS = np.array(
    [(0, 0, 4), (87, 16, 110), (188, 55, 84), (249, 142, 9), (252, 255, 164)], np.float64
)
_SIDE_PX, _BAR_PX, _MARGIN_PX, _FONT_PX, _LINE_PX = 320, 14, 10, 12, 20
_BACKGROUND, _INK = (24, 26, 30), (235, 235, 235)


def scaled_heat(values: npt.NDArray[np.floating]) -> Heat:
    """Scales evidence for an answer to 0 to 1; evidence against it becomes 0.

    >>> scaled_heat(np.array([[-1.0, 2.0], [4.0, 0.0]])).tolist()
    [[0.0, 0.5], [1.0, 0.0]]
    """
    positive = np.maximum(np.nan_to_num(values), 0.0)
    count = max(1, round(_FULL_SHARE * positive.size))
    hottest = np.sort(positive, axis=None)[-count:]
    full = hottest[0] if hottest[0] > 0 else hottest[-1]
    return np.clip(positive / (full if full > 0 else 1.0), 0.0, 1.0).astype(np.float32)


def heat_colours(heat: Heat) -> Picture:
    """Colours heat [...] from 0 to 1: RGB uint8 [..., 3]."""
    place = np.clip(heat, 0.0, 1.0) * (len(_COLOURS) - 1)
    known = np.arange(len(_COLOURS))
    channels = [np.interp(place, known, _COLOURS[:, channel]) for channel in range(3)]
    return np.rint(np.stack(channels, axis=-1)).astype(np.uint8)


def blended(picture: Picture, heat: Heat) -> Picture:
    """Blends heat over the gray picture: the hotter, the less of the picture shows."""
    gray = np.repeat(picture.mean(axis=-1, keepdims=True), 3, axis=-1)
    weight = 0.25 + 0.65 * heat[..., np.newaxis]
    return np.rint(gray * (1 - weight) + heat_colours(heat) * weight).astype(np.uint8)


def heat_sheet(picture: Picture, heat: Heat, title: str) -> Image.Image:
    """Draws a picture [H, W, 3], the same with its heat, and the colour bar.

    Args:
        picture: RGB uint8.
        heat: [H, W].
        title: one line above them.
    """
    height, width = heat.shape
    factor = max(1, _SIDE_PX // max(height, width))
    size = (width * factor, height * factor)
    parts = [
        Image.fromarray(it).resize(size, Image.Resampling.NEAREST)
        for it in (picture, blended(picture, heat))
    ]
    whole = (2 * size[0] + _BAR_PX + 6 * _MARGIN_PX, size[1] + _LINE_PX + 2 * _MARGIN_PX)
    sheet = Image.new("RGB", whole, _BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    top = _MARGIN_PX + _LINE_PX
    draw.text((_MARGIN_PX, _MARGIN_PX // 2), title, _INK, font(_FONT_PX))
    for place, part in enumerate(parts):
        sheet.paste(part, (_MARGIN_PX + place * (size[0] + _MARGIN_PX), top))
    left = 2 * size[0] + 3 * _MARGIN_PX
    column = np.linspace(1, 0, size[1], dtype=np.float32)[:, np.newaxis]
    sheet.paste(Image.fromarray(heat_colours(np.repeat(column, _BAR_PX, axis=1))), (left, top))
    for text, row in (("1", top), ("0", top + size[1] - _FONT_PX - 2)):
        draw.text((left + _BAR_PX + 4, row), text, _INK, font(_FONT_PX))
    return sheet
