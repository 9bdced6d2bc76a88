"""Plot of a search's trials as lines over parallel axes, one axis for each field."""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trainer.tune.config import Dimension
from trainer.tune.results import PICTURE_FILE, Results, TrialRow, shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_DPI = 120
_WIDTH_OF_AXIS_IN = 1.7
_HEIGHT_IN = 4.8
_LONGEST_LABEL = 22
_FAILED = "0.6"


@dataclass(frozen=True)
class ChartAxis:
    """One vertical axis.

    Attributes:
        title: the field or metric.
        at: the height of each trial's value between 0 and 1; None where it has none.
        ticks: heights and labels of the ticks.
    """

    title: str
    at: tuple[float | None, ...]
    ticks: tuple[tuple[float, str], ...]


def parallel_coordinates(results: Results, space: Mapping[str, Dimension], folder: str) -> str:
    """Draws all trials into a PNG file and returns its path.

    The last axis is the objective, with the better end on top; the value there gives a line its
    colour. The best line is thick, and failed trials are grey and end before this axis.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    axes = make_axes(results, space)
    figure = Figure((1.2 + _WIDTH_OF_AXIS_IN * len(axes), _HEIGHT_IN), layout="constrained")
    FigureCanvasAgg(figure)
    plot = figure.subplots()
    for number, row in reversed(list(enumerate(results.rows))):
        _draw_trial(plot, [axis.at[number] for axis in axes], row)
    for position, axis in enumerate(axes):
        _draw_axis(plot, position, axis)
    plot.set_xlim(-0.15, len(axes) - 0.45)
    plot.set_ylim(-0.04, 1.04)
    plot.set_xticks(range(len(axes)), [axis.title for axis in axes])
    plot.xaxis.tick_top()
    plot.tick_params(length=0)
    plot.set_yticks([])
    plot.set_frame_on(False)
    path = os.path.join(folder, PICTURE_FILE)
    figure.savefig(path, dpi=_DPI)
    return path


def make_axes(results: Results, space: Mapping[str, Dimension]) -> list[ChartAxis]:
    """Builds an axis for each searched field, and one for the objective."""
    axes = [
        _axis(path, space.get(path), [row.values.get(path) for row in results.rows])
        for path in results.paths
    ]
    scores = [row.objective if row.rank is not None else None for row in results.rows]
    objective = _numbers(results.objective, scores, log=False)
    if results.direction == "min":
        objective = _turned(objective)
    return [*axes, objective]


def _axis(path: str, dimension: Dimension | None, values: Sequence[Any]) -> ChartAxis:
    numeric = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
    if numeric and (dimension is None or dimension.values is None):
        return _numbers(path, values, dimension is not None and dimension.sampling == "log")
    listed = dimension.values if dimension is not None and dimension.values else values
    labels = list(dict.fromkeys(shown(value) for value in listed))
    heights = [index / max(1, len(labels) - 1) for index in range(len(labels))]
    known = dict(zip(labels, heights, strict=True))
    at = tuple(known.get(shown(value)) for value in values)
    return ChartAxis(path, at, tuple((known[label], _short(label)) for label in labels))


def _numbers(title: str, values: Sequence[float | None], log: bool) -> ChartAxis:
    scale = math.log10 if log else float
    scaled = [scale(value) if value is not None else None for value in values]
    known = [value for value in scaled if value is not None]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    span = high - low

    def height(value: float) -> float:
        return (value - low) / span if span else 0.5

    at = tuple(height(value) if value is not None else None for value in scaled)
    marks = [low + span * part / 4 for part in range(5)] if span else [low]
    ticks = tuple((height(mark), shown(float(10**mark if log else mark))) for mark in marks)
    return ChartAxis(title, at, ticks)


def _turned(axis: ChartAxis) -> ChartAxis:
    at = tuple(None if value is None else 1 - value for value in axis.at)
    return ChartAxis(axis.title, at, tuple((1 - height, label) for height, label in axis.ticks))


def _draw_trial(plot: "Axes", heights: Sequence[float | None], row: TrialRow) -> None:
    from matplotlib import colormaps

    points = [(x, y) for x, y in enumerate(heights) if y is not None]
    best, score = row.rank == 1, heights[-1]
    plot.plot(
        [x for x, _ in points],
        [y for _, y in points],
        color=_FAILED if score is None else colormaps["viridis_r"](score),
        linewidth=3 if best else 1.2,
        linestyle="--" if score is None else "-",
        alpha=1 if best else 0.75,
        zorder=3 if best else 2,
    )


def _draw_axis(plot: "Axes", position: int, axis: ChartAxis) -> None:
    plot.axvline(position, color="0.25", linewidth=0.8, zorder=4)
    for height, label in axis.ticks:
        plot.annotate(
            label,
            (position, height),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            zorder=5,
            bbox={"boxstyle": "square,pad=0.1", "facecolor": "white", "alpha": 0.75, "lw": 0},
        )


def _short(label: str) -> str:
    return label if len(label) <= _LONGEST_LABEL else f"{label[: _LONGEST_LABEL - 1]}…"
