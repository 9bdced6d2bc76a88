"""Scalar features of an image, so that statistics and drift speak about the imagery.

All sums are of integers below 2**24 in float32, or below 2**53 in float64, and so exact: the
features of an image are the same whatever the machine, the number of threads or the band of rows.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

#: Rows taken at a time: 256 * 255**2 < 2**24 keeps the column sums of squares exact in float32.
_ROWS = 256
#: Luma weights of ITU-R BT.601-7, 2.5.1, in thousandths: luma stays an integer below 2**24.
_LUMA = np.array([299, 587, 114], np.float32)


@dataclass(frozen=True, slots=True)
class ImageFeatures:
    """Pixel statistics of one RGB image, on its own size and the scale 0 to 255."""

    mean: tuple[float, float, float]
    stddev: tuple[float, float, float]
    brightness: float
    sharpness: float


def image_features(image: npt.NDArray[np.uint8]) -> ImageFeatures:
    """Mean and deviation by band, brightness and sharpness of uint8 [h, w, 3].

    Brightness is the mean luma (BT.601). Sharpness is the population standard deviation of the
    luma's 4-neighbour Laplacian over the pixels that have four neighbours (the square root of
    Pech-Pacheco et al. 2000, "Diatom autofocusing in brightfield microscopy"); it is 0 where an
    image has no such pixel.
    """
    height, width, _ = image.shape
    sums = np.zeros(3)
    squares = np.zeros(3)
    edge_sum = edge_squares = 0.0
    for band in _bands_of_rows(height):
        rows = image[band.start : band.stop].astype(np.float32)
        own = rows[band.own].reshape(-1, width * 3)
        ones = np.ones(len(own), np.float32)
        sums += (ones @ own).reshape(width, 3).sum(axis=0, dtype=np.float64)
        squares += (ones @ (own * own)).reshape(width, 3).sum(axis=0, dtype=np.float64)
        edges = _laplacian((rows.reshape(-1, 3) @ _LUMA).reshape(len(rows), width))
        edge_sum += float(edges.sum())
        edge_squares += float(edges @ edges)
    mean = sums / (height * width)
    stddev = np.sqrt(np.maximum(squares / (height * width) - mean * mean, 0))
    return ImageFeatures(
        mean=(float(mean[0]), float(mean[1]), float(mean[2])),
        stddev=(float(stddev[0]), float(stddev[1]), float(stddev[2])),
        brightness=float(mean @ _LUMA) / 1000,
        sharpness=_deviation(edge_sum, edge_squares, (height - 2) * (width - 2), height, width),
    )


@dataclass(frozen=True, slots=True)
class _Band:
    """Rows `start` to `stop`, of which `own` (counted from `start`) are this band's alone."""

    start: int
    stop: int
    own: slice


def _bands_of_rows(height: int) -> Iterator[_Band]:
    """Bands of at most `_ROWS` rows, each with the row above and below it where there is one."""
    for first in range(0, height, _ROWS):
        last = min(first + _ROWS, height)
        start = max(first - 1, 0)
        yield _Band(start, min(last + 1, height), slice(first - start, last - start))


def _laplacian(luma: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Four times each pixel less its four neighbours, flat, for the pixels that have all four."""
    edges = luma[1:-1, 1:-1] * np.float32(4)
    edges -= luma[:-2, 1:-1]
    edges -= luma[2:, 1:-1]
    edges -= luma[1:-1, :-2]
    edges -= luma[1:-1, 2:]
    return edges.ravel().astype(np.float64)


def _deviation(total: float, squares: float, count: int, height: int, width: int) -> float:
    if min(height, width) < 3:
        return 0.0
    mean = total / count
    return float(np.sqrt(max(squares / count - mean * mean, 0.0))) / 1000
