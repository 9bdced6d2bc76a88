"""Contact sheet: many small pictures, each with a line of text."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from components.raster.pictures.colours import RGB, class_colours
from components.raster.pictures.fonts import Font, font
from components.raster.pictures.stretch import Picture
from components.raster.tiles.valid_mask import Mask

_MARGIN_PX = 6
_FONT_PX, _LINE_PX = 11, 14
_SWATCH_PX = 10
_BACKGROUND = (24, 26, 30)
_INK = (235, 235, 235)
_FRAME = (110, 114, 122)

#: A class and its colour.
Entry = tuple[str, RGB]


@dataclass(frozen=True, eq=False)
class Card:
    """One picture of a sheet.

    Attributes:
        picture: RGB uint8 (H, W, 3).
        text: below it, in two lines at most; longer text is shortened in the middle.
        alarm: draws a red frame, for rejects.
    """

    picture: Picture
    text: str
    alarm: bool = False


def contact_sheet(
    cards: Sequence[Card], *, columns: int = 8, side_px: int = 128, legend: Sequence[Entry] = ()
) -> Image.Image:
    """Draws cards in rows, and below them a legend of colours.

    Small pictures are enlarged by whole pixels, large ones reduced. A picture that is not square
    has a frame, which shows where it ends.
    """
    columns = max(1, min(columns, len(cards)))
    rows = max(1, -(-len(cards) // columns))
    texts = [_lines(card.text, font(_FONT_PX), side_px) for card in cards]
    text_px = _LINE_PX * max((len(lines) for lines in texts), default=1)
    width, height = side_px + _MARGIN_PX, side_px + text_px + _MARGIN_PX
    sheet_px = columns * width + _MARGIN_PX
    placed = _placed(legend, sheet_px - 2 * _MARGIN_PX)
    below = _LINE_PX * (placed[-1][1] + 1) + _MARGIN_PX if placed else 0
    size = (max(sheet_px, *(_end(it) for it in placed), 0), rows * height + _MARGIN_PX + below)
    sheet = Image.new("RGB", size, _BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    for place, (card, lines) in enumerate(zip(cards, texts, strict=True)):
        left = _MARGIN_PX + place % columns * width
        top = _MARGIN_PX + place // columns * height
        sheet.paste(_fitted(card.picture, side_px), (left, top))
        if card.alarm:
            frame = (left - 2, top - 2, left + side_px + 1, top + side_px + 1)
            draw.rectangle(frame, outline=(220, 40, 40), width=2)
        for number, line in enumerate(lines):
            at = (left, top + side_px + 1 + number * _LINE_PX)
            draw.text(at, line, fill=_INK, font=font(_FONT_PX))
    _draw_legend(draw, placed, rows * height + _MARGIN_PX)
    return sheet


def legend_of(classes: Sequence[str]) -> list[Entry]:
    """Pairs each class with the colour that `with_mask` and `with_boxes` give it."""
    return list(zip(classes, class_colours(len(classes)), strict=True))


def with_boxes(picture: Picture, edges_px: np.ndarray, classes: Sequence[int]) -> Picture:
    """Draws an outline around each box (N, 4: top, left, bottom, right)."""
    image = Image.fromarray(picture)
    draw, colours = ImageDraw.Draw(image), class_colours(max(classes, default=0) + 1)
    for (top, left, bottom, right), index in zip(edges_px.tolist(), classes, strict=True):
        edges = (left, top, max(right - 1, left), max(bottom - 1, top))
        draw.rectangle(edges, outline=colours[index])
    return np.asarray(image)


def with_mask(picture: Picture, mask: np.ndarray, ignore: int, weight: float = 0.45) -> Picture:
    """Blends a class mask (H, W) into a picture; ignored pixels stay unchanged."""
    known = mask != ignore
    indexes = np.where(known, mask, 0).astype(np.int64)
    colours = np.array(class_colours(int(indexes.max(initial=0)) + 1), np.float64)[indexes]
    mixed = picture * (1 - weight) + colours * weight
    return np.where(known[..., None], np.rint(mixed), picture).astype(np.uint8)


def mask_picture(valid: Mask) -> Picture:
    """Draws a valid mask in black and white."""
    return np.repeat(np.where(valid, 255, 0).astype(np.uint8)[..., None], 3, axis=2)


def _fitted(picture: Picture, side_px: int) -> Image.Image:
    """Fits a picture into a square, keeping its aspect; framed if it does not fill the square."""
    height, width = picture.shape[:2]
    scale = side_px / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    way = Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.BOX
    square = Image.new("RGB", (side_px, side_px), _BACKGROUND)
    resized = Image.fromarray(picture).resize(size, way)
    left, top = (side_px - size[0]) // 2, (side_px - size[1]) // 2
    square.paste(resized, (left, top))
    if min(size) < side_px:
        edges = (left - 1, top - 1, left + size[0], top + size[1])
        ImageDraw.Draw(square).rectangle(edges, outline=_FRAME)
    return square


def _lines(text: str, face: Font, width_px: int) -> list[str]:
    """Breaks text into one or two lines; an ellipsis replaces the middle of longer text."""
    if face.getlength(text) <= width_px:
        return [text]
    kept = len(text)
    while kept > 0:
        shown = text if kept == len(text) else _shortened(text, kept)
        first = _fitting(shown, face, width_px)
        rest = shown[first:].lstrip()
        if face.getlength(rest) <= width_px:
            return [shown[:first].rstrip(), rest]
        kept -= 1
    return [""]


def _shortened(text: str, kept: int) -> str:
    tail = kept // 2
    return f"{text[: kept - tail]}…{text[len(text) - tail :]}"


def _fitting(text: str, face: Font, width_px: int) -> int:
    """Returns the number of characters that fit on a line, up to a space in its second half."""
    count = next((n for n in range(len(text), 0, -1) if face.getlength(text[:n]) <= width_px), 1)
    space = text.rfind(" ", count // 2, count)
    return count if space < 0 or count == len(text) else space + 1


def _placed(legend: Sequence[Entry], width_px: int) -> list[tuple[int, int, Entry]]:
    """Returns (left, line, entry) of each entry; lines break between entries, never within one."""
    left, line, found = _MARGIN_PX, 0, []
    for entry in legend:
        end = _end((left, line, entry))
        if end > width_px and left > _MARGIN_PX:
            left, line = _MARGIN_PX, line + 1
        found.append((left, line, entry))
        left = _end((left, line, entry)) + 2 * _MARGIN_PX
    return found


def _end(placed: tuple[int, int, Entry]) -> int:
    left, _, (name, _) = placed
    return left + _SWATCH_PX + 4 + int(font(_FONT_PX).getlength(name)) + _MARGIN_PX


def _draw_legend(
    draw: ImageDraw.ImageDraw, placed: Sequence[tuple[int, int, Entry]], top: int
) -> None:
    for left, line, (name, colour) in placed:
        at = top + line * _LINE_PX
        draw.rectangle((left, at + 2, left + _SWATCH_PX, at + 2 + _SWATCH_PX), fill=colour)
        draw.text((left + _SWATCH_PX + 4, at), name, fill=_INK, font=font(_FONT_PX))
