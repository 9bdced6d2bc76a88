"""Plots of the learning curve: each measure on the train and the eval split, by epoch."""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipelines.page.content import CurveRow

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PANEL_INCHES = (4.2, 3.0)
_RATE = "learning_rate"


def write_curve_png(curve: Sequence[CurveRow], path: str) -> None:
    """Writes the plot to a PNG file."""
    _figure(curve).savefig(path, format="png", dpi=110)


def panels_of(curve: Sequence[CurveRow]) -> tuple[str, ...]:
    """Returns the panels' names: every measure that both splits have, then the learning rate."""
    names = {name: None for row in curve for name in row}
    both = tuple(name for name in names if f"val_{name}" in names)
    return (*both, _RATE) if _RATE in names else both


def _figure(curve: Sequence[CurveRow]) -> "Figure":
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it reports its font cache
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    panels = panels_of(curve)
    width, height = _PANEL_INCHES
    figure = Figure(figsize=(width * len(panels), height), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        for series, label in ((name, "train"), (f"val_{name}", "eval")):
            points = [(row["epoch"], row[series]) for row in curve if series in row]
            if points:
                axes.plot(*zip(*points, strict=True), marker=".", label=label)
        axes.set_title(name.replace("_", " "))
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        if name != _RATE:
            axes.legend()
    return figure
