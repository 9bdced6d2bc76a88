"""Models that answer for tiles: the same answers from this process or from a server."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from components.raster.ahead import several_ahead
from components.raster.tiles.tile import Tile
from components.raster.tiles.view import View
from serving.contract.contract import Contract

#: Arrays of N rows by the names of `serving.contract.names`. Segmentation answers with
#: `class_probabilities` (N, K, H, W), in the shape of the model's input. Models that detect unknown
#: imagery add `unknown_percentile` (N,).
TileAnswers: TypeAlias = Mapping[str, npt.NDArray[np.generic]]


class TileModel(Protocol):
    """A model of the served contract.

    Attributes:
        contract: its contract.
        name: for people and for the metadata of maps.
        version: the version that answers; None if unknown.
        identity: changes with the model's answers; a map is continued only if it is the same.
        item: location of its STAC item; None if unknown.
        requests: number of requests that it works on at a time.
    """

    contract: Contract
    name: str
    version: int | None
    identity: str
    item: str | None
    requests: int

    def answer(self, tiles: Sequence[Tile], view: View) -> TileAnswers:
        """Returns the answer for each tile.

        Raises:
            SkymillError: the model fails on them, or cannot be reached.
        """


def answers(
    batches: Generator[Sequence[Tile], None, None], model: TileModel, view: View
) -> Iterator[tuple[Sequence[Tile], TileAnswers]]:
    """Yields batches with their answers, in order; reading and predicting overlap.

    At most `model.requests` batches are in progress, and one more is read ahead.
    """

    def predicted(tiles: Sequence[Tile]) -> tuple[Sequence[Tile], TileAnswers]:
        return tiles, model.answer(tiles, view)

    return several_ahead(predicted, batches, model.requests)
