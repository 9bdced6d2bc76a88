"""Weights with which overlapping tiles contribute to a pixel, along one axis of a scene.

A tile's weight at a pixel is the product of its weights along both axes. Along each axis the
weights of all tiles add up to 1 at every pixel, and therefore their products do as well.
"""

from bisect import bisect
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


@dataclass(frozen=True)
class PixelRun:
    """Pixels along an axis, from `first` up to `end`, at which so many tiles count."""

    first: int
    end: int
    tiles: int


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


class TileAxis:
    """Tiles along one axis of a scene, and runs of pixels at which the same tiles count."""

    def __init__(self, tops: Sequence[int], size_px: int, blend: Blend) -> None:
        """Computes the weights; see `axis_weights`."""
        self._weights = dict(zip(tops, axis_weights(tops, size_px, blend), strict=True))
        self._counting = {}
        for top, weights in self._weights.items():
            places = np.flatnonzero(weights)
            self._counting[top] = (top + int(places[0]), top + int(places[-1]) + 1)
        cuts = sorted({place for both in self._counting.values() for place in both})
        self._runs = [
            PixelRun(
                first, end, sum(begin <= first < stop for begin, stop in self._counting.values())
            )
            for first, end in pairwise(cuts)
        ]

    def runs(self, top: int, first: int, end: int) -> Iterator[tuple[PixelRun, slice, Weights]]:
        """Yields the runs at which a tile counts, between two places of the scene.

        Args:
            top: of the tile.
            first: of the places.
            end: beyond them.

        Yields:
            The run, clipped to the places; its pixels in the tile; and their weights.
        """
        weights, (begin, stop) = self._weights[top], self._counting[top]
        for run in self._runs[bisect(self._runs, begin, key=lambda it: it.end) :]:
            if run.first >= stop:
                break
            own = PixelRun(max(run.first, first), min(run.end, end), run.tiles)
            if own.first < own.end:
                here = slice(own.first - top, own.end - top)
                yield own, here, weights[here]


def _rise(way: npt.NDArray[np.float64], blend: Blend) -> npt.NDArray[np.float64]:
    """Returns the weight of a tile along the part (0 to 1) that it shares with the one before."""
    if blend == "constant":
        return np.ones_like(way)
    if blend == "crop":
        return (way >= 0.5).astype(np.float64)
    return 0.5 - 0.5 * np.cos(np.pi * np.clip((way - _UNUSED) / (1 - 2 * _UNUSED), 0, 1))
