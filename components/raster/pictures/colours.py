"""One colour for each class, the same in every picture."""

import colorsys

#: Okabe and Ito's colours, which are distinct for all types of colour vision.
_FIRST = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)
#: Marks wrong pixels; distinct from the greys beside it under any colour vision.
WRONG_RGB = (213, 94, 0)
_GOLDEN = 0.618033988749895  # fraction of a turn from hue to hue: any number of hues spreads evenly

RGB = tuple[int, int, int]


def class_colours(count: int) -> tuple[RGB, ...]:
    """Returns a distinct colour for each of `count` classes."""
    return tuple(_colour(index) for index in range(count))


def _colour(index: int) -> RGB:
    if index < len(_FIRST):
        return _FIRST[index]
    turn = index - len(_FIRST)
    saturation, value = (0.55, 0.95) if turn % 2 else (0.9, 0.75)
    red, green, blue = colorsys.hsv_to_rgb(turn * _GOLDEN % 1, saturation, value)
    return round(255 * red), round(255 * green), round(255 * blue)
