"""Scalar features of an image, by which statistics and drift describe the imagery.

OpenCV computes each moment in one pass over the pixels. It sums integers in float64, which is exact
below 2**53, so the features of an image, stored as float32, depend neither on the machine nor on
the division into bands of rows.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from components.raster.opencv import opencv

Pixels = npt.NDArray[np.uint8]

_BAND_ROWS = 256  # rows taken at a time, so that a large image needs little memory
#: Luma weights of ITU-R BT.601-7, 2.5.1, in thousandths: luma stays an integer below 2**24.
_LUMA = np.array([[299, 587, 114]], np.float32)


class ImageFeatures(NamedTuple):
    """Pixel statistics of one RGB image at its original size, on the scale 0 to 255."""

    mean: tuple[float, float, float]
    stddev: tuple[float, float, float]
    brightness: float
    sharpness: float


def image_features(image: Pixels) -> ImageFeatures:
    """Computes mean and deviation by band, brightness and sharpness of uint8 [h, w, 3].

    Brightness is the mean luma (BT.601). Sharpness is the population standard deviation of the
    luma's 4-neighbour Laplacian over the pixels that have four neighbours (the square root of
    Pech-Pacheco et al. 2000, "Diatom autofocusing in brightfield microscopy"); it is 0 if an image
    has no such pixel.

    >>> gray = np.full((4, 4, 3), 100, np.uint8)
    >>> image_features(gray)
    ImageFeatures(mean=(100.0, 100.0, 100.0), ..., brightness=100.0, sharpness=0.0)
    """
    cv2 = opencv()
    pixels, edges = [], []
    for rows, own in _bands_of_rows(image):
        pixels.append(_sums(rows if own is None else rows[own]))
        if rows.shape[0] > 2 and rows.shape[1] > 2:
            luma = cv2.transform(rows.astype(np.float32), _LUMA)
            edges.append(_sums(cv2.Laplacian(luma, cv2.CV_32F, ksize=1)[1:-1, 1:-1]))
    (red, of_red), (green, of_green), (blue, of_blue) = _moments(pixels)
    return ImageFeatures(
        mean=(red, green, blue),
        stddev=(of_red, of_green, of_blue),
        brightness=(299 * red + 587 * green + 114 * blue) / 1000,
        sharpness=_moments(edges)[0][1] / 1000 if edges else 0.0,
    )


#: Number of pixels, and by channel the sums of their integers and of the squares.
_Sums = tuple[int, Sequence[tuple[int, int]]]


def _sums(values: npt.NDArray[Any]) -> _Sums:
    """Sums integers [h, w] or [h, w, channels] in one pass.

    OpenCV returns moments; rounding turns them back into sums, which are integers and thus exact.
    """
    pixels = values.shape[0] * values.shape[1]
    means, deviations = opencv().meanStdDev(values)
    return pixels, [
        (round(mean * pixels), round((deviation * deviation + mean * mean) * pixels))
        for (mean,), (deviation,) in zip(means.tolist(), deviations.tolist(), strict=True)
    ]


def _moments(parts: Sequence[_Sums]) -> list[tuple[float, float]]:
    """Returns mean and population standard deviation, by channel, of all parts together."""
    count, channels = parts[0] if len(parts) == 1 else _added(parts)
    moments = []
    for total, squares in channels:
        mean = total / count
        moments.append((mean, math.sqrt(max(squares / count - mean * mean, 0.0))))
    return moments


def _added(parts: Sequence[_Sums]) -> _Sums:
    counts, channels = zip(*parts, strict=True)
    added = [
        tuple(map(sum, zip(*of_parts, strict=True))) for of_parts in zip(*channels, strict=True)
    ]
    return sum(counts), [(total, squares) for total, squares in added]


def _bands_of_rows(image: Pixels) -> Iterator[tuple[Pixels, slice | None]]:
    """Yields bands of rows, each with the rows above and below it, if there are any, and the slice
    of the rows that belong only to it; None for a single band."""
    height = image.shape[0]
    if height <= _BAND_ROWS:
        yield image, None
        return
    for first in range(0, height, _BAND_ROWS):
        last = min(first + _BAND_ROWS, height)
        start = max(first - 1, 0)
        yield image[start : min(last + 1, height)], slice(first - start, last - start)
