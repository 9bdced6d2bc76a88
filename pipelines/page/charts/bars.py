"""Histograms, and a reliability diagram with the count of each bin."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from pipelines.page.charts.svg import HEIGHT_PX, Axes, diamond, joined, picture, tag

_COUNTS_PX = 96


@dataclass(frozen=True)
class Histogram:
    """Counts between edges; one more edge than counts."""

    edges: Sequence[float]
    counts: Sequence[float]

    @property
    def total(self) -> float:
        return sum(self.counts)

    @property
    def densities(self) -> list[float]:
        """Share of the total for each unit of the axis, so that unequal bins can be compared."""
        widths = (b - a for a, b in zip(self.edges[:-1], self.edges[1:], strict=True))
        return [
            count / self.total / width if self.total and width > 0 else 0.0
            for count, width in zip(self.counts, widths, strict=True)
        ]


def count_chart(
    name: str, histograms: Sequence[tuple[str, Histogram]], x_label: str, y_label: str
) -> Markup:
    """Draws stacked histograms with the same edges, as counts.

    Args:
        name: accessible name of the picture.
        histograms: each with its class of the style sheet; the first is at the bottom.
        x_label: the quantity, with its unit.
        y_label: the things that are counted.
    """
    first = histograms[0][1]
    below = [0.0] * len(first.counts)
    most = max((sum(it) for it in zip(*(h.counts for _, h in histograms), strict=True)), default=0)
    axes = Axes.over((first.edges[0], first.edges[-1]), (0, most or 1), x_label, y_label)
    parts = [axes.drawn()]
    for style, histogram in histograms:
        for index, count in enumerate(histogram.counts):
            parts.append(_bar(axes, first.edges, index, below[index], below[index] + count, style))
            below[index] += count
    return picture(name, joined(parts))


def density_chart(name: str, histograms: Sequence[tuple[str, Histogram]], x_label: str) -> Markup:
    """Draws histograms over each other, each with the same area regardless of its count."""
    edges = [edge for _, histogram in histograms for edge in histogram.edges]
    most = max((it for _, h in histograms for it in h.densities), default=0)
    share = [
        (style, h, [it / most if most else 0.0 for it in h.densities]) for style, h in histograms
    ]
    axes = Axes.over((min(edges), max(edges)), (0, 1), x_label, "relative frequency", x_most=5)
    parts = [axes.drawn()]
    for style, histogram, heights in share:
        outline = [(histogram.edges[0], 0.0)]
        for index, height in enumerate(heights):
            outline += [(histogram.edges[index], height), (histogram.edges[index + 1], height)]
        outline.append((histogram.edges[-1], 0.0))
        parts.append(axes.line(outline, f"area {style}"))
    return picture(name, joined(parts))


@dataclass(frozen=True)
class ReliabilityPoint:
    """Predictions of similar confidence.

    Attributes:
        low: least confidence.
        high: largest confidence.
        count: number of predictions.
        confidence: their mean confidence.
        right: share of them that is right.
        interval: 95 % interval of that share, where there is one.
    """

    low: float
    high: float
    count: int
    confidence: float
    right: float
    interval: tuple[float, float] | None = None


def reliability_chart(
    name: str, bins: Sequence[ReliabilityPoint], others: Sequence[ReliabilityPoint] = ()
) -> Markup:
    """Draws the share of right answers by confidence, and below it the count of each bin.

    Args:
        name: accessible name of the picture.
        bins: bins of the model.
        others: bins of the model to compare with, drawn as hollow diamonds without counts.
    """
    height = HEIGHT_PX + _COUNTS_PX
    split = height - _COUNTS_PX + 8
    above = Axes.over((0, 1), (0, 1), "", "share right", bottom_px=split)
    most = max((it.count for it in bins), default=1)
    below = Axes.over((0, 1), (0, most), "confidence", "count", bottom_px=height, top_px=split - 18)
    parts = [above.drawn(), above.line([(0, 0), (1, 1)], "reference"), below.drawn()]
    for it in others:
        parts.append(diamond(above.x(it.confidence), above.y(it.right), "s1"))
    for it in bins:
        x = it.confidence
        parts.append(_bar(below, (it.low, it.high), 0, 0, it.count, "s0"))
        if it.interval:
            parts.append(above.line([(x, bound) for bound in it.interval], "whisker s0"))
        text = tag("title", f"{it.count:,} of confidence {x:.2f}: {it.right:.2f} right")
        dot = tag("circle", text, klass="dot s0", cx=above.x(x), cy=above.y(it.right), r=3.5)
        parts.append(dot)
    return picture(name, joined(parts), height_px=height)


def _bar(
    axes: Axes, edges: Sequence[float], index: int, low: float, high: float, style: str
) -> Markup:
    left, right = axes.x(edges[index]), axes.x(edges[index + 1])
    top, bottom = axes.y(high), axes.y(low)
    if bottom <= top:
        return Markup("")
    width = max(right - left - 1, 0.5)
    return tag("rect", klass=f"bar {style}", x=left + 0.5, y=top, width=width, height=bottom - top)
