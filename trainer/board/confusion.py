"""Confusion of classes, counted and drawn."""

import io
import logging
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from serving.contract.contract import Contract
from trainer.tasks.board import PredictedExample
from trainer.tasks.registry import board_of

Counts = npt.NDArray[np.int64]

_MOST_CLASSES = 40


def confusion(examples: Iterable[PredictedExample[Any]], contract: Contract) -> Counts | None:
    """Counts [K, K] images or pixels, true class in rows; None for tasks without a confusion."""
    count, board = len(contract.classes), board_of(contract.task)
    counts = np.zeros(count * count, np.int64)
    for example in examples:
        decisions = board.decisions(example, count)
        if decisions is None:
            return None
        true, predicted = decisions
        np.add.at(counts, true.astype(np.int64) * count + predicted, 1)
    return counts.reshape(count, count)


def draw_confusion(counts: Counts, classes: Sequence[str]) -> Image.Image:
    """Draws the shares of each true class; counts are written where they are legible."""
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # logs its font cache
    from matplotlib.figure import Figure

    side = min(4.0 + 0.45 * len(classes), 16.0)
    figure = Figure(figsize=(side, side * 0.9), layout="constrained")
    axes = figure.subplots()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    if len(classes) <= _MOST_CLASSES:
        axes.set_xticks(range(len(classes)), classes, rotation=60, ha="right")
        axes.set_yticks(range(len(classes)), classes)
        for (row, column), share in np.ndenumerate(shares):
            if counts[row, column]:
                ink = "white" if share > 0.5 else "black"
                text = f"{share:.2f}" if counts.max() > 9999 else str(counts[row, column])
                axes.text(column, row, text, ha="center", va="center", color=ink, fontsize=8)
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=100)
    return Image.open(drawn).convert("RGB")
