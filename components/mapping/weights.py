"""Weights with which overlapping tiles contribute to a pixel, along one axis of a scene.

A tile's weight at a pixel is the product of its weights along both axes. Along each axis the
weights of all tiles add up to 1 at every pixel, and therefore their products do as well.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt

from components.raster.tiles.tiling import Edge, starts

Blend = Literal["cosine", "constant", "crop"]
#: Share of an overlap, at a tile's edge, that does not count with `cosine`.
_UNUSED = 0.25

Weights = npt.NDArray[np.float32]


def tile_starts(
    length_px: int, size_px: int, stride_px: int, edge: Edge = "snap"
) -> tuple[int, ...]:
    """Returns the starts of tiles that cover one axis.

    With `snap` the last tile is moved inwards, so that a scene's edge is seen by a tile that is
    full of pixels. A scene smaller than a tile gets one, padded.
    """
    return starts(length_px, size_px, stride_px, "pad" if length_px < size_px else edge)


def axis_weights(tops: Sequence[int], size_px: int, blend: Blend) -> Weights:
    """Returns the weights (T, size) of T tiles along one axis, from their starts, rising.

    Over the pixels that two neighbours share, `cosine` passes from one tile to the other by half a
    wave of a cosine, `constant` takes the mean, and `crop` changes tiles in the middle. The wave
    leaves out the outer quarter of the shared pixels on either side, where a network sees most of
    what it lacks beyond a tile's edge. Where a tile has no neighbour, at a scene's edges, its
    weight stays whole.
    """
    places = np.arange(size_px) + 0.5
    raw = np.ones((len(tops), size_px))
    for number, (first, second) in enumerate(pairwise(tops)):
        shared = first + size_px - second
        if shared > 0:
            rise = _rise(places / shared, blend)
            raw[number + 1] *= rise
            raw[number] *= rise[::-1]
    total = np.zeros(tops[-1] - tops[0] + size_px)
    for top, weights in zip(tops, raw, strict=True):
        total[top - tops[0] :][:size_px] += weights
    found = [raw[n] / total[top - tops[0] :][:size_px] for n, top in enumerate(tops)]
    return np.array(found, np.float32)


@dataclass(frozen=True, eq=False)
class TileWeights:
    """Weights of one tile along an axis: 0 up to `first`, 1 from `whole` to `falling`, 0 from `end`.

    Attributes:
        weights: (size,).
        first: the first pixel that counts.
        whole: the first pixel that no other tile counts at.
        falling: the first pixel beyond those; `whole` if there is none.
        end: the first pixel beyond those that count.
    """

    weights: Weights
    first: int
    whole: int
    falling: int
    end: int

    @classmethod
    def of(cls, weights: Weights) -> "TileWeights":
        """Finds where the weights rise and fall."""
        counts, whole = np.flatnonzero(weights), np.flatnonzero(weights == 1)
        first, end = int(counts[0]), int(counts[-1]) + 1
        if not len(whole):
            return cls(weights, first, first, first, end)
        return cls(weights, first, int(whole[0]), int(whole[-1]) + 1, end)


class Axis:
    """The weights of all tiles along one axis of a scene."""

    def __init__(self, tops: Sequence[int], size_px: int, blend: Blend) -> None:
        """Computes the weights; see `axis_weights`."""
        found = axis_weights(tops, size_px, blend)
        self._alone = np.zeros(tops[-1] + size_px, np.bool_)
        for top, weights in zip(tops, found, strict=True):
            self._alone[top : top + size_px] |= weights == 1
        for top, weights in zip(tops, found, strict=True):  # what rounding left beside a whole one
            weights[self._alone[top : top + size_px] & (weights < 1)] = 0
        self._tiles = {top: TileWeights.of(own) for top, own in zip(tops, found, strict=True)}

    def tile(self, top: int) -> TileWeights:
        """Returns the weights of the tile that starts there."""
        return self._tiles[top]

    def runs(self, first: int, end: int) -> Iterator[tuple[slice, bool]]:
        """Yields runs of pixels between two places, counted from the first.

        The flag says that one tile alone counts there.
        """
        alone = self._alone[first:end]
        changes = [0, *(np.flatnonzero(alone[1:] != alone[:-1]) + 1).tolist(), len(alone)]
        for start, stop in pairwise(changes):
            yield slice(start, stop), bool(alone[start])


def _rise(way: npt.NDArray[np.float64], blend: Blend) -> npt.NDArray[np.float64]:
    """Returns the weight of a tile along the part (0 to 1) that it shares with the one before."""
    if blend == "constant":
        return np.ones_like(way)
    if blend == "crop":
        return (way >= 0.5).astype(np.float64)
    return 0.5 - 0.5 * np.cos(np.pi * np.clip((way - _UNUSED) / (1 - 2 * _UNUSED), 0, 1))
