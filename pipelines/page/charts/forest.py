"""Forest plot: a row for each slice or class, with its value, its interval and another's value."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from pipelines.page.charts.svg import (
    Scale,
    diamond,
    joined,
    number,
    padded,
    path,
    picture,
    shortened,
    tag,
    ticks,
)

_WIDTH_PX, _ROW_PX, _TOP_PX, _BOTTOM_PX = 420, 22, 22, 40
_NAMES_PX, _COUNTS_PX = 166, 44
_MOST_CHARACTERS = 18
#: Margin of an axis on each side, as a share of the range.
_SPARE = 0.04


@dataclass(frozen=True)
class ForestRow:
    """One row.

    Attributes:
        name: name of the slice or class.
        count: number of examples.
        value: measured value; a row without one is not drawn.
        interval: its 95 % interval, where there is one.
        other: the value of the model to compare with, where there is one.
        strong: drawn with emphasis, for the row over all examples.
    """

    name: str
    count: int
    value: float
    interval: tuple[float, float] | None = None
    other: float | None = None
    strong: bool = False


def forest_chart(
    name: str, rows: Sequence[ForestRow], x_label: str, *, bars: bool = False
) -> Markup:
    """Draws values as dots (or bars from 0) with whiskers, others as hollow diamonds.

    Args:
        name: accessible name of the picture.
        rows: from top to bottom.
        x_label: the quantity, with its unit.
        bars: draws a bar from 0 to each value.
    """
    known = [row for row in rows if math.isfinite(row.value)]
    x = Scale(*_range(known, bars), _NAMES_PX, _WIDTH_PX - _COUNTS_PX - 8)
    bottom = _TOP_PX + _ROW_PX * len(known)
    parts: list[Markup] = [
        tag("text", "count", klass="tick end", x=_WIDTH_PX - 4, y=_TOP_PX - 8),
        *_axis(x, bottom, x_label),
    ]
    for index, row in enumerate(known):
        parts.append(_row(row, x, _TOP_PX + _ROW_PX * (index + 0.5), bars))
    return picture(name, joined(parts), _WIDTH_PX, bottom + _BOTTOM_PX)


def _range(rows: Sequence[ForestRow], bars: bool) -> tuple[float, float]:
    values = [row.value for row in rows]
    values += [bound for row in rows for bound in row.interval or ()]
    values += [row.other for row in rows if row.other is not None]
    low, high = padded(values)
    low, high = low - _SPARE * (high - low), high + _SPARE * (high - low)
    if min(values) >= 0 and max(values) <= 1:  # shares: nothing is left of 0 or right of 1
        low, high = max(low, 0.0), 1.0 if high > 0.7 else high
    if bars or low < 0.3 <= high:
        low = min(low, 0.0)
    return low, high


def _axis(x: Scale, bottom: float, label: str) -> list[Markup]:
    parts = []
    for value in ticks(x.low, x.high):
        at = x(value)
        parts.append(tag("path", klass="grid", d=path([(at, _TOP_PX), (at, bottom)])))
        parts.append(tag("text", number(value), klass="tick mid", x=at, y=bottom + 14))
    middle = (x.start_px + x.end_px) / 2
    return [*parts, tag("text", label, klass="label mid", x=middle, y=bottom + 31)]


def _row(row: ForestRow, x: Scale, y: float, bars: bool) -> Markup:
    weight = " strong" if row.strong else ""
    full = f"{row.name}: {row.value:.3f}"
    if row.interval:
        full += f" ({row.interval[0]:.3f} to {row.interval[1]:.3f})"
    parts = [
        tag("title", full),
        tag(
            *("text", shortened(row.name, _MOST_CHARACTERS)),
            klass=f"name end{weight}",
            x=_NAMES_PX - 8,
            y=y + 4,
        ),
        tag("text", f"{row.count:,}", klass="tick end", x=_WIDTH_PX - 4, y=y + 4),
    ]
    if bars:
        start, end = sorted((x(0), x(row.value)))
        width = max(end - start, 0.5)
        parts.append(tag("rect", klass="bar s0", x=start, y=y - 6, width=width, height=12))
    if row.interval:
        ends = [(x(row.interval[0]), y), (x(row.interval[1]), y)]
        parts.append(tag("path", klass=f"line whisker {'ink' if bars else 's0'}", d=path(ends)))
    if row.other is not None and math.isfinite(row.other):
        parts.append(diamond(x(row.other), y, "s1"))
    if not bars:
        parts.append(tag("circle", klass="dot s0", cx=x(row.value), cy=y, r=5 if row.strong else 4))
    return tag("g", joined(parts))
