"""Occlusion: the fall of a score when a window of the image is hidden.

Zeiler and Fergus 2014, arXiv 1311.2901.
"""

import numpy as np
import numpy.typing as npt

from components.explanation.question import COPIES, Pixels, Score


def filling(pixels: Pixels) -> Pixels:
    """Returns the fill value of hidden pixels: the mean of each band, (C,)."""
    flat = pixels.reshape(-1, pixels.shape[-1]).astype(np.float64)
    valid = flat[np.isfinite(flat).all(axis=1)]
    mean = valid.mean(axis=0) if len(valid) else np.zeros(pixels.shape[-1])
    return mean.astype(pixels.dtype)


def occlusion(
    score: Score, pixels: Pixels, window_px: int, stride_px: int
) -> npt.NDArray[np.float64]:
    """Returns the mean fall of the score over all windows that hide a pixel, (H, W).

    Args:
        score: function of modified copies.
        pixels: (H, W, C).
        window_px: side of the hidden window.
        stride_px: distance between windows; the last one ends at the image's edge.
    """
    height, width = pixels.shape[:2]
    fill, before = filling(pixels), score(pixels[np.newaxis])[0]
    places = [
        (slice(top, top + window_px), slice(left, left + window_px))
        for top in _starts(height, window_px, stride_px)
        for left in _starts(width, window_px, stride_px)
    ]
    total, seen = np.zeros((height, width)), np.zeros((height, width))
    for at in range(0, len(places), COPIES):
        some = places[at : at + COPIES]
        copies = np.repeat(pixels[np.newaxis], len(some), axis=0)
        for copy, place in zip(copies, some, strict=True):
            copy[place] = fill
        for fall, place in zip(before - score(copies), some, strict=True):
            total[place] += fall
            seen[place] += 1
    return total / np.maximum(seen, 1)


def _starts(side: int, window_px: int, stride_px: int) -> list[int]:
    last = max(side - window_px, 0)
    return sorted({*range(0, last + 1, stride_px), last})
