"""A contact sheet: many small pictures with a line of text each."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from components.raster.pictures.stretch import Picture
from components.raster.tiles.valid_mask import Mask

_MARGIN_PX = 6
_TEXT_PX = 14
_BACKGROUND = (24, 26, 30)
_INK = (235, 235, 235)
#: Outlines of boxes and classes of masks take these in turn (Okabe and Ito's colours).
COLOURS = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)


@dataclass(frozen=True, eq=False)
class Card:
    """One picture of a sheet.

    Attributes:
        picture: RGB uint8 (H, W, 3).
        text: below it; what does not fit is cut off.
        alarm: draws a red frame, for rejects.
    """

    picture: Picture
    text: str
    alarm: bool = False


def contact_sheet(cards: Sequence[Card], *, columns: int = 8, side_px: int = 128) -> Image.Image:
    """Draws cards in rows; small pictures are enlarged by whole pixels, large ones reduced."""
    columns = max(1, min(columns, len(cards)))
    rows = max(1, -(-len(cards) // columns))
    width, height = side_px + _MARGIN_PX, side_px + _TEXT_PX + _MARGIN_PX
    sheet = Image.new(
        "RGB", (columns * width + _MARGIN_PX, rows * height + _MARGIN_PX), _BACKGROUND
    )
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default()
    for place, card in enumerate(cards):
        left = _MARGIN_PX + place % columns * width
        top = _MARGIN_PX + place // columns * height
        sheet.paste(_fitted(card.picture, side_px), (left, top))
        if card.alarm:
            frame = (left - 2, top - 2, left + side_px + 1, top + side_px + 1)
            draw.rectangle(frame, outline=(220, 40, 40), width=2)
        text = _cut(card.text, font, side_px)
        draw.text((left, top + side_px + 1), text, fill=_INK, font=font)
    return sheet


def with_boxes(picture: Picture, edges_px: np.ndarray, classes: Sequence[int]) -> Picture:
    """A picture with an outline around each box (N, 4: top, left, bottom, right)."""
    image = Image.fromarray(picture)
    draw = ImageDraw.Draw(image)
    for (top, left, bottom, right), index in zip(edges_px.tolist(), classes, strict=True):
        edges = (left, top, max(right - 1, left), max(bottom - 1, top))
        draw.rectangle(edges, outline=COLOURS[index % len(COLOURS)])
    return np.asarray(image)


def with_mask(picture: Picture, mask: np.ndarray, ignore: int, weight: float = 0.45) -> Picture:
    """A picture with a class mask (H, W) laid over it; ignored pixels stay as they are."""
    colours = np.array(COLOURS, np.float64)[mask.astype(np.int64) % len(COLOURS)]
    mixed = picture * (1 - weight) + colours * weight
    return np.where((mask == ignore)[..., None], picture, np.rint(mixed)).astype(np.uint8)


def mask_picture(valid: Mask) -> Picture:
    """A valid mask as black and white."""
    return np.repeat(np.where(valid, 255, 0).astype(np.uint8)[..., None], 3, axis=2)


def _fitted(picture: Picture, side_px: int) -> Image.Image:
    """A picture in a square, its aspect kept."""
    height, width = picture.shape[:2]
    scale = side_px / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    way = Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.BOX
    square = Image.new("RGB", (side_px, side_px), _BACKGROUND)
    resized = Image.fromarray(picture).resize(size, way)
    square.paste(resized, ((side_px - size[0]) // 2, (side_px - size[1]) // 2))
    return square


def _cut(text: str, font: ImageFont.ImageFont | ImageFont.FreeTypeFont, width_px: int) -> str:
    if font.getlength(text) <= width_px:
        return text
    while text and font.getlength(f"{text}…") > width_px:
        text = text[:-1]
    return f"{text}…"
