"""Weights with which overlapping tiles contribute to a pixel, along one axis of a scene.

A tile's weight at a pixel is the product of its weights along both axes. Along each axis the
weights of all tiles add up to 1 at every pixel, so their products do too.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from components.raster.tiles.tiling import Edge, starts

Blend = Literal["cosine", "constant", "crop"]
#: Share of an overlap, at a tile's edge, that `cosine` leaves out.
_UNUSED = 0.25

Weights = npt.NDArray[np.float32]


class TileSpan(NamedTuple):
    """Pixels along an axis at which a tile counts.

    Attributes:
        first: the first one, in the scene.
        next: the first one at which the next tile counts.
        end: the pixel after the last.
        weights: at each pixel.
    """

    first: int
    next: int
    end: int
    weights: Weights


def tile_starts(
    length_px: int, size_px: int, stride_px: int, edge: Edge = "snap"
) -> tuple[int, ...]:
    """Returns the starts of tiles that cover one axis.

    With `snap` the last tile is moved inwards, so that a tile full of pixels covers the scene's
    edge. A scene smaller than a tile gets one padded tile.
    """
    return starts(length_px, size_px, stride_px, "pad" if length_px < size_px else edge)


def axis_weights(tops: Sequence[int], size_px: int, blend: Blend) -> Weights:
    """Returns the weights (T, size) of T tiles along one axis, from their starts in rising order.

    Over the pixels that two neighbours share, `cosine` passes from one tile to the other by half a
    cosine wave, `constant` takes the mean, and `crop` changes tiles in the middle. The wave leaves
    out the outer quarter of the shared pixels on either side, where a network lacks most context.
    Where a tile has no neighbour, at a scene's edges, its weight is 1.
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
    """Tiles along one axis of a scene, and where they count."""

    def __init__(self, tops: Sequence[int], size_px: int, blend: Blend) -> None:
        """Computes the weights; see `axis_weights`."""
        self._tops, self._weights = tops, axis_weights(tops, size_px, blend)

    def spans(self, left: int = 0, right: int | None = None) -> dict[int, TileSpan]:
        """Returns the pixels at which each tile counts, by its start.

        Args:
            left: the first pixel that counts.
            right: the pixel after the last that counts; None: the end of the last tile.
        """
        right = self._tops[-1] + self._weights.shape[1] if right is None else right
        counting = []
        for top, weights in zip(self._tops, self._weights, strict=True):
            places = top + np.flatnonzero(weights)
            counting.append((int(places[0]), int(places[-1]) + 1))
        found = {}
        nexts = [*(first for first, _ in counting[1:]), counting[-1][1]]
        rows = zip(self._tops, self._weights, counting, nexts, strict=True)
        for top, weights, (begin, stop), after in rows:
            first, end = max(begin, left), min(stop, right)
            if first < end:
                own = weights[first - top : end - top]
                found[top] = TileSpan(first, min(max(after, first), end), end, own)
        return found


def _rise(way: npt.NDArray[np.float64], blend: Blend) -> npt.NDArray[np.float64]:
    """Returns a tile's weight along its overlap (0 to 1) with the one before."""
    if blend == "constant":
        return np.ones_like(way)
    if blend == "crop":
        return (way >= 0.5).astype(np.float64)
    return 0.5 - 0.5 * np.cos(np.pi * np.clip((way - _UNUSED) / (1 - 2 * _UNUSED), 0, 1))
