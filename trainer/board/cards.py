"""Cards: one example and its prediction as pictures with a line of text."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from components.raster.pictures.sheet import Card
from components.raster.pictures.stretch import (
    Picture,
    choose_bands,
    natural_bands,
    picture_of,
    stretch_of,
)
from components.raster.tiles.valid_mask import Mask, Pixels
from serving.contract.contract import Contract
from trainer.tasks.board import PredictedExample
from trainer.tasks.registry import board_of


def cards_of(examples: Sequence[PredictedExample[Any]], contract: Contract) -> list[Card]:
    """Draws the cards of each example as its task does."""
    draw, board = drawing_of(examples, contract), board_of(contract.task)
    return [card for each in examples for card in board.cards(draw(each.pixels), each, contract)]


def drawing_of(
    examples: Sequence[PredictedExample[Any]], contract: Contract
) -> Callable[[Pixels], Picture]:
    """Returns the function from pixels to a picture; for rasters with the examples' own stretch."""
    if contract.image.bands is None:
        return lambda pixels: np.asarray(pixels, np.uint8)
    names = contract.image.bands
    bands = choose_bands(names, natural_bands(names))
    stretch = stretch_of([(each.pixels, _valid(each.pixels)) for each in examples], bands)
    return lambda pixels: picture_of(pixels, _valid(pixels), bands, stretch)


def _valid(pixels: Pixels) -> Mask:
    return np.asarray(np.isfinite(pixels).all(axis=-1))
