"""Cards: one example and its prediction as pictures with a line of text."""

from collections.abc import Sequence
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
from serving.contract.contract import Contract
from trainer.tasks.board import PredictedExample
from trainer.tasks.registry import board_of


def cards_of(examples: Sequence[PredictedExample[Any]], contract: Contract) -> list[Card]:
    """Draws the cards of each example as its task does."""
    board, pictures = board_of(contract.task), pictures_of(examples, contract)
    return [
        card
        for picture, each in zip(pictures, examples, strict=True)
        for card in board.cards(picture, each, contract)
    ]


def pictures_of(examples: Sequence[PredictedExample[Any]], contract: Contract) -> list[Picture]:
    """Draws the pixels of each example; tiles of rasters with one stretch for all."""
    if contract.image.bands is None:
        return [np.asarray(each.pixels, np.uint8) for each in examples]
    names = contract.image.bands
    bands = choose_bands(names, natural_bands(names))
    tiles = [(each.pixels, np.isfinite(each.pixels).all(axis=-1)) for each in examples]
    stretch = stretch_of(tiles, bands)
    return [picture_of(pixels, valid, bands, stretch) for pixels, valid in tiles]
