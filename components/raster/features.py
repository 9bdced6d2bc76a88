"""Scalar features of an image, so that statistics and drift speak about the imagery.

OpenCV takes each moment in one pass over the pixels. Its sums are of integers in float64, exact
below 2**53, so the features of an image, which are stored as float32, are the same whatever the
machine or the band of rows.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from components.raster.opencv import opencv

_BAND_ROWS = 256  # rows taken at a time, so that a large image needs little memory
#: Luma weights of ITU-R BT.601-7, 2.5.1, in thousandths: luma stays an integer below 2**24.
_LUMA = np.array([[299, 587, 114]], np.float32)


@dataclass(frozen=True, slots=True)
class ImageFeatures:
    """Pixel statistics of one RGB image, on its own size and the scale 0 to 255."""

    mean: tuple[float, float, float]
    stddev: tuple[float, float, float]
    brightness: float
    sharpness: float


def image_features(image: npt.NDArray[np.uint8]) -> ImageFeatures:
    """Computes mean and deviation by band, brightness and sharpness of uint8 [h, w, 3].

    Brightness is the mean luma (BT.601). Sharpness is the population standard deviation of the
    luma's 4-neighbour Laplacian over the pixels that have four neighbours (the square root of
    Pech-Pacheco et al. 2000, "Diatom autofocusing in brightfield microscopy"); it is 0 where an
    image has no such pixel.

    >>> gray = np.full((4, 4, 3), 100, np.uint8)
    >>> image_features(gray)
    ImageFeatures(mean=(100.0, 100.0, 100.0), ..., brightness=100.0, sharpness=0.0)
    """
    cv2 = opencv()
    pixels, edges = [], []
    for start, stop, own in _bands_of_rows(image.shape[0]):
        rows = image[start:stop]
        pixels.append(_sums(rows[own]))
        if min(rows.shape[:2]) > 2:
            luma = cv2.transform(rows.astype(np.float32), _LUMA)
            edges.append(_sums(cv2.Laplacian(luma, cv2.CV_32F, ksize=1)[1:-1, 1:-1]))
    (red, green, blue), (of_red, of_green, of_blue) = _moments(pixels)
    return ImageFeatures(
        mean=(red, green, blue),
        stddev=(of_red, of_green, of_blue),
        brightness=(299 * red + 587 * green + 114 * blue) / 1000,
        sharpness=_moments(edges)[1][0] / 1000 if edges else 0.0,
    )


class _Sums(NamedTuple):
    """Number of pixels, and by channel the sum of their whole numbers and of the squares."""

    pixels: int
    sums: Sequence[int]
    squares: Sequence[int]


def _sums(values: npt.NDArray[Any]) -> _Sums:
    """Sums whole numbers [h, w] or [h, w, channels] in one pass.

    OpenCV gives moments; rounding makes them sums, which are whole numbers, and so exact, again.
    """
    pixels = values.shape[0] * values.shape[1]
    means, deviations = opencv().meanStdDev(values)
    sums, squares = [], []
    for (mean,), (deviation,) in zip(means.tolist(), deviations.tolist(), strict=True):
        sums.append(round(mean * pixels))
        squares.append(round((deviation * deviation + mean * mean) * pixels))
    return _Sums(pixels, sums, squares)


def _moments(parts: Sequence[_Sums]) -> tuple[list[float], list[float]]:
    """Returns means and population standard deviations, by channel, of all parts together."""
    count, sums, squares = parts[0] if len(parts) == 1 else _added(parts)
    means = [channel / count for channel in sums]
    variances = [
        channel / count - mean * mean for channel, mean in zip(squares, means, strict=True)
    ]
    return means, [math.sqrt(max(variance, 0.0)) for variance in variances]


def _added(parts: Sequence[_Sums]) -> _Sums:
    counts, sums, squares = zip(*parts, strict=True)
    return _Sums(sum(counts), _by_channel(sums), _by_channel(squares))


def _by_channel(rows: Sequence[Sequence[int]]) -> list[int]:
    return [sum(channel) for channel in zip(*rows, strict=True)]


def _bands_of_rows(height: int) -> Iterator[tuple[int, int, slice]]:
    """Yields bands of rows, each with the row above and below it where there is one: its first row,
    the row after its last, and the slice of its rows that are of no other band."""
    for first in range(0, height, _BAND_ROWS):
        last = min(first + _BAND_ROWS, height)
        start = max(first - 1, 0)
        yield start, min(last + 1, height), slice(first - start, last - start)
