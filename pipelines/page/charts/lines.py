"""Charts of lines: a measure by epoch, precision by recall, rates of a threshold."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from pipelines.page.charts.svg import Axes, joined, padded, picture, tag

#: Classes of the style sheet, in the order in which series get their colours.
SERIES = ("s0", "s1", "s2", "s3", "s4", "s5")
#: With more points than this, a line shows no dot for each.
_MOST_DOTS = 40


@dataclass(frozen=True)
class Line:
    """A series: its name, its points, whether each gets a dot, and points marked by a ring."""

    name: str
    points: Sequence[tuple[float, float]]
    dots: bool = False
    marks: Sequence[tuple[float, float]] = ()


def line_chart(
    name: str,
    lines: Sequence[Line],
    x_label: str,
    y_label: str,
    *,
    x: tuple[float, float] | None = None,
    y: tuple[float, float] | None = None,
    diagonal: bool = False,
) -> Markup:
    """Draws lines over common axes; without ranges, those of the points.

    Args:
        name: accessible name of the picture.
        lines: at most as many as `SERIES` has; further ones are left out.
        x_label: quantity of the points' first numbers, with its unit.
        y_label: that of the second numbers.
        x: range of the first numbers.
        y: range of the second numbers.
        diagonal: draws the line from the lower left to the upper right as a reference.
    """
    points = [point for line in lines for point in line.points]
    x, y = x or padded(it[0] for it in points), y or padded(it[1] for it in points)
    axes = Axes.over(x, y, x_label, y_label)
    parts = [axes.drawn()]
    if diagonal:
        parts.append(axes.line([(x[0], y[0]), (x[1], y[1])], "reference"))
    for line, style in zip(lines, SERIES, strict=False):
        parts.append(axes.line(line.points, style))
        if line.dots and len(line.points) <= _MOST_DOTS:
            parts += [
                tag("circle", klass=f"dot {style}", cx=axes.x(px), cy=axes.y(py), r=2.5)
                for px, py in line.points
                if math.isfinite(py)
            ]
        parts += [
            tag("circle", klass=f"hollow {style}", cx=axes.x(px), cy=axes.y(py), r=4.5)
            for px, py in line.marks
        ]
    return picture(name, joined(parts))
