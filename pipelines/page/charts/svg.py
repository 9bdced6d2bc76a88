"""Elements of SVG as text, and the axes that the charts share.

Every text and attribute is escaped. Colours come from the page's style sheet by class, so that a
chart follows the reader's colour scheme; a chart is as wide as a phone and scales up from there.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

WIDTH_PX, HEIGHT_PX = 360, 236
_LEFT_PX, _RIGHT_PX, _TOP_PX, _BOTTOM_PX = 58, 12, 10, 40
_MINUS = "\N{MINUS SIGN}"


def tag(name: str, content: str = "", **attributes: str | float) -> Markup:
    """Returns an element; `klass` is the attribute class, and `_` in a name stands for `-`.

    >>> tag("text", "a < b", klass="tick", x=1.25)
    Markup('<text class="tick" x="1.2">a &lt; b</text>')
    """
    given = "".join(
        f' {"class" if key == "klass" else key.replace("_", "-")}="{_attribute(value)}"'
        for key, value in attributes.items()
    )
    return Markup(f"<{name}{given}>{escape(content)}</{name}>")


def joined(parts: Iterable[str]) -> Markup:
    """Joins elements."""
    return Markup("").join(parts)


def picture(
    name: str, body: str, width_px: float = WIDTH_PX, height_px: float = HEIGHT_PX
) -> Markup:
    """Returns an `svg` element whose accessible name is `name`."""
    return tag(
        "svg",
        joined((tag("title", name), body)),
        viewBox=f"0 0 {width_px:g} {height_px:g}",
        role="img",
    )


def diamond(x: float, y: float, style: str) -> Markup:
    """Draws a hollow diamond, the mark of the model to compare with."""
    corners = [(x, y - 5), (x + 5, y), (x, y + 5), (x - 5, y)]
    return tag("path", klass=f"hollow {style}", d=path(corners) + "Z")


def path(points: Sequence[tuple[float, float]]) -> str:
    """Returns the path data of a line through points."""
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def number(value: float) -> str:
    """Formats a number for an axis.

    >>> number(12500), number(-0.25), number(3)
    ('12,500', '−0.25', '3')
    """
    digits = f"{abs(value):,.0f}" if abs(value) >= 1000 else f"{abs(value):.4g}"
    return f"{_MINUS}{digits}" if value < 0 and float(digits.replace(",", "")) else digits


def shortened(text: str, most: int) -> str:
    """Cuts the middle out of a text that is longer than `most` characters."""
    if len(text) <= most:
        return text
    tail = (most - 1) // 2
    return f"{text[: most - 1 - tail]}…{text[len(text) - tail :]}"


@dataclass(frozen=True)
class Scale:
    """Linear map from values to pixels."""

    low: float
    high: float
    start_px: float
    end_px: float

    def __call__(self, value: float) -> float:
        """Returns the place of a value, at the nearer end for one outside."""
        share = (value - self.low) / ((self.high - self.low) or 1.0)
        return self.start_px + min(max(share, 0.0), 1.0) * (self.end_px - self.start_px)


def ticks(low: float, high: float, most: int = 6) -> tuple[float, ...]:
    """Returns at most `most` round values from low to high.

    >>> ticks(0, 1), ticks(3, 47)
    ((0.0, 0.2, 0.4, 0.6, 0.8, 1.0), (10.0, 20.0, 30.0, 40.0))
    """
    extent = high - low
    if not math.isfinite(extent) or extent <= 0:
        return (low,)
    power = 10.0 ** math.floor(math.log10(extent / most))
    steps = (power * factor for factor in (1, 2, 5, 10, 20))
    step = next(it for it in steps if extent / it <= most - 1 + 1e-9)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return tuple(round(index * step, 12) for index in range(first, last + 1))


def padded(values: Iterable[float]) -> tuple[float, float]:
    """Returns the range of the finite values, widened where it is empty."""
    finite = [value for value in values if math.isfinite(value)]
    low, high = min(finite, default=0.0), max(finite, default=1.0)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


@dataclass(frozen=True)
class Axes:
    """Two scales with ticks, a grid and labels."""

    x: Scale
    y: Scale
    x_label: str
    y_label: str
    x_most: int = 6

    @classmethod
    def over(
        cls,
        x: tuple[float, float],
        y: tuple[float, float],
        x_label: str,
        y_label: str,
        *,
        bottom_px: float = HEIGHT_PX,
        top_px: float = 0,
        x_most: int = 6,
    ) -> "Axes":
        """Returns axes over two ranges, in a picture's full width between two heights."""
        across = Scale(*x, _LEFT_PX, WIDTH_PX - _RIGHT_PX)
        upwards = Scale(*y, bottom_px - _BOTTOM_PX, top_px + _TOP_PX)
        return cls(across, upwards, x_label, y_label, x_most)

    def drawn(self) -> Markup:
        """Draws the grid, the ticks and the labels."""
        left, right = self.x.start_px, self.x.end_px
        bottom, top = self.y.start_px, self.y.end_px
        parts = []
        for value in ticks(self.y.low, self.y.high):
            y = self.y(value)
            parts.append(tag("path", klass="grid", d=path([(left, y), (right, y)])))
            text = tag("text", number(value), klass="tick end", x=left - 5, y=y + 3.5)
            parts.append(text)
        for value in ticks(self.x.low, self.x.high, self.x_most):
            x = self.x(value)
            parts.append(tag("path", klass="grid", d=path([(x, bottom), (x, top)])))
            parts.append(tag("text", number(value), klass="tick mid", x=x, y=bottom + 14))
        middle = (bottom + top) / 2
        parts.append(tag("path", klass="axis", d=path([(left, bottom), (right, bottom)])))
        parts.append(
            tag("text", self.x_label, klass="label mid", x=(left + right) / 2, y=bottom + 31)
        )
        turned = f"translate(11 {middle:.1f}) rotate(-90)"
        parts.append(tag("text", self.y_label, klass="label mid", transform=turned))
        return joined(parts)

    def line(self, points: Iterable[tuple[float, float]], klass: str) -> Markup:
        """Draws a line through points in the axes' units."""
        placed = [(self.x(x), self.y(y)) for x, y in points if math.isfinite(y)]
        return tag("path", klass=f"line {klass}", d=path(placed)) if placed else Markup("")


def _attribute(value: str | float) -> str:
    return str(escape(value)) if isinstance(value, str) else f"{value:.1f}".removesuffix(".0")
