"""Map of examples, coloured by how well they were answered; nothing is loaded to draw it."""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from pipelines.page.charts.svg import Scale, joined, number, path, picture, tag, ticks

#: Bands of the score, from worst to best, each with a class of the style sheet `q0` to `q4`.
BANDS = 5
_MOST_POINTS = 4000
_WIDTH_PX, _MOST_HEIGHT_PX, _LEAST_HEIGHT_PX = 640, 640, 160
_LEFT_PX, _RIGHT_PX, _TOP_PX, _BOTTOM_PX = 52, 12, 10, 46
_CELL_PX = 8
_DEGREE_M = 111_195.0
#: Lengths that a scale bar may have, times a power of ten.
_ROUND = (1, 2, 5)
_LONGEST_BAR_PX = 140


@dataclass(frozen=True)
class ScoredPlace:
    """Centre of an example in degrees (WGS 84), and its score from 0 to 1."""

    longitude: float
    latitude: float
    score: float


def band_of(score: float) -> int:
    """Returns the band of a score.

    >>> band_of(0.0), band_of(0.5), band_of(1.0)
    (0, 2, 4)
    """
    return min(int(score * BANDS), BANDS - 1)


def is_gathered(places: Sequence[ScoredPlace]) -> bool:
    """Checks whether there are so many places that a map shows the mean of cells instead."""
    return len(places) > _MOST_POINTS


def place_chart(name: str, places: Sequence[ScoredPlace]) -> Markup:
    """Draws a dot for each place, a cross for one of the lowest band; or the mean of each cell.

    Longitudes are shortened by the cosine of the middle latitude, so that shapes look right there.
    """
    around = [_beside(places[0].longitude, it.longitude) for it in places]
    x, y, px_per_degree = _scales(around, [it.latitude for it in places])
    placed = [
        (x(longitude), y(it.latitude), it.score)
        for longitude, it in zip(around, places, strict=True)
    ]
    drawn = _cells(placed) if is_gathered(places) else _dots(placed)
    height = y.start_px + _BOTTOM_PX
    parts = [*_graticule(x, y), *drawn, _scale_bar(px_per_degree, height)]
    return picture(name, joined(parts), _WIDTH_PX, height)


def _beside(first: float, longitude: float) -> float:
    """Returns a longitude on that side of the date line where the first one is."""
    return longitude + round((first - longitude) / 360) * 360


def _scales(longitudes: Sequence[float], latitudes: Sequence[float]) -> tuple[Scale, Scale, float]:
    """Returns the scales of longitude and latitude, and the pixels of a degree of latitude."""
    middle = (min(latitudes) + max(latitudes)) / 2
    shrink = max(math.cos(math.radians(middle)), 1e-3)
    wide = max((max(longitudes) - min(longitudes)) * shrink, 1e-6) * 1.06
    high = max(max(latitudes) - min(latitudes), 1e-6) * 1.06
    inner_px = _WIDTH_PX - _LEFT_PX - _RIGHT_PX
    scale = min(inner_px / wide, (_MOST_HEIGHT_PX - _TOP_PX - _BOTTOM_PX) / high)
    height_px = max(high * scale, _LEAST_HEIGHT_PX)
    centre = (min(longitudes) + max(longitudes)) / 2
    half, tall = inner_px / scale / shrink / 2, height_px / scale / 2
    x = Scale(centre - half, centre + half, _LEFT_PX, _WIDTH_PX - _RIGHT_PX)
    y = Scale(middle - tall, middle + tall, _TOP_PX + height_px, _TOP_PX)
    return x, y, scale


def _graticule(x: Scale, y: Scale) -> Iterator[Markup]:
    for value in ticks(x.low, x.high, 5):
        at = x(value)
        yield tag("path", klass="grid", d=path([(at, y.start_px), (at, y.end_px)]))
        shown = _beside(0.0, value)
        yield tag("text", f"{number(shown)}°", klass="tick mid", x=at, y=y.start_px + 14)
    for value in ticks(y.low, y.high, 5):
        at = y(value)
        yield tag("path", klass="grid", d=path([(x.start_px, at), (x.end_px, at)]))
        yield tag("text", f"{number(value)}°", klass="tick end", x=x.start_px - 5, y=at + 3.5)


def _dots(placed: Sequence[tuple[float, float, float]]) -> Iterator[Markup]:
    by_band: dict[int, list[str]] = defaultdict(list)
    for x, y, score in placed:
        band = band_of(score)
        shape = f"M{x - 3:.1f} {y - 3:.1f}l6 6m-6 0l6-6" if not band else f"M{x:.1f} {y:.1f}h0"
        by_band[band].append(shape)
    for band in sorted(by_band, reverse=True):
        klass = "cross q0" if not band else f"place q{band}"
        yield tag("path", klass=klass, d="".join(by_band[band]))


def _cells(placed: Sequence[tuple[float, float, float]]) -> Iterator[Markup]:
    found: dict[tuple[int, int], list[float]] = defaultdict(list)
    for x, y, score in placed:
        found[int(x // _CELL_PX), int(y // _CELL_PX)].append(score)
    by_band: dict[int, list[str]] = defaultdict(list)
    for (column, row), scores in sorted(found.items()):
        side = _CELL_PX - 1
        shape = f"M{column * _CELL_PX} {row * _CELL_PX}h{side}v{side}h-{side}z"
        by_band[band_of(sum(scores) / len(scores))].append(shape)
    for band, shapes in sorted(by_band.items()):
        yield tag("path", klass=f"cell q{band}", d="".join(shapes))


def _scale_bar(px_per_degree: float, height_px: float) -> Markup:
    metres_per_px = _DEGREE_M / px_per_degree
    power = 10.0 ** math.floor(math.log10(_LONGEST_BAR_PX * metres_per_px))
    longest = _LONGEST_BAR_PX * metres_per_px
    length_m = max(step * power for step in _ROUND if step * power <= longest)
    left, y = float(_LEFT_PX), height_px - 14
    text = f"{length_m / 1000:g} km" if length_m >= 1000 else f"{length_m:g} m"
    ends = [(left, y - 4), (left, y), (left + length_m / metres_per_px, y)]
    bar = path([*ends, (ends[-1][0], y - 4)])
    return joined(
        (
            tag("path", klass="axis", d=bar),
            tag("text", text, klass="tick", x=ends[-1][0] + 6, y=y + 2),
        )
    )
