"""Cards: one example and its prediction as pictures with a line of text."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from components.raster.pictures.sheet import Card
from components.raster.pictures.stretch import Picture, Stretch, picture_of, stretch_of
from serving.contract.contract import Contract
from trainer.tasks.board import PredictedExample
from trainer.tasks.registry import board_of


def cards_of(examples: Sequence[PredictedExample[Any]], contract: Contract) -> list[Card]:
    """Draws the cards of each example as its task does."""
    draw, board = _drawer(examples, contract), board_of(contract.task)
    return [card for each in examples for card in board.cards(draw(each.pixels), each, contract)]


def _drawer(
    examples: Sequence[PredictedExample[Any]], contract: Contract
) -> Callable[[Any], Picture]:
    """Returns a function from pixels to a picture, with one stretch for all."""
    if contract.image.bands is None:
        return lambda pixels: np.asarray(pixels, np.uint8)
    bands = (0, 1, 2) if len(contract.image.bands) >= 3 else (0,)
    known = [(each.pixels, np.isfinite(each.pixels).all(axis=-1)) for each in examples]
    stretch: Stretch = stretch_of(known, bands)
    return lambda pixels: picture_of(pixels, np.isfinite(pixels).all(-1), bands, stretch)
