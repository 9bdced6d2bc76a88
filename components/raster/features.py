"""Scalar features of an image, so that statistics and drift speak about the imagery.

All sums are of integers below 2**24 in float32, or below 2**53 in float64, and so exact: the
features of an image are the same whatever the machine or the band of rows. No BLAS takes part: it
would start threads for work of microseconds.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_BAND_ROWS = 256  # rows taken at a time, so that a large image needs little memory
_EXACT_SQUARES = 256  # so many squares of a byte add up to less than 2**24
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
    """Computes mean and deviation by band, brightness and sharpness of uint8 [h, w, 3].

    Brightness is the mean luma (BT.601). Sharpness is the population standard deviation of the
    luma's 4-neighbour Laplacian over the pixels that have four neighbours (the square root of
    Pech-Pacheco et al. 2000, "Diatom autofocusing in brightfield microscopy"); it is 0 where an
    image has no such pixel.

    >>> gray = np.full((4, 4, 3), 100, np.uint8)
    >>> image_features(gray)
    ImageFeatures(mean=(100.0, 100.0, 100.0), ..., brightness=100.0, sharpness=0.0)
    """
    height, width, _ = image.shape
    sums = np.zeros(3)
    squares = np.zeros(3)
    edge_sum = edge_squares = 0.0
    for band in _bands_of_rows(height):
        planes = image[band.start : band.stop].transpose(2, 0, 1).astype(np.float32, order="C")
        own = planes[:, band.own]
        sums += np.einsum("brc->br", own, dtype=_exact(width)).sum(axis=1, dtype=np.float64)
        squares += np.einsum("brc,brc->br", own, own, dtype=_exact(width)).sum(
            axis=1, dtype=np.float64
        )
        edges = _laplacian(_luma(planes))
        edge_sum += float(edges.sum())
        edge_squares += float(np.einsum("e,e->", edges, edges))
    mean = sums / (height * width)
    stddev = np.sqrt(np.maximum(squares / (height * width) - mean * mean, 0))
    return ImageFeatures(
        mean=(float(mean[0]), float(mean[1]), float(mean[2])),
        stddev=(float(stddev[0]), float(stddev[1]), float(stddev[2])),
        brightness=float(mean @ _LUMA) / 1000,
        sharpness=_deviation(edge_sum, edge_squares, max(height - 2, 0) * max(width - 2, 0)) / 1000,
    )


@dataclass(frozen=True, slots=True)
class _Band:
    """Rows `start` to `stop`, of which `own` (counted from `start`) are this band's alone."""

    start: int
    stop: int
    own: slice


def _bands_of_rows(height: int) -> Iterator[_Band]:
    """Yields bands of rows, each with the row above and below it where there is one."""
    for first in range(0, height, _BAND_ROWS):
        last = min(first + _BAND_ROWS, height)
        start = max(first - 1, 0)
        yield _Band(start, min(last + 1, height), slice(first - start, last - start))


def _exact(width: int) -> type[np.floating]:
    """Returns the float type in which the squares along a row of `width` add up exactly."""
    return np.float32 if width <= _EXACT_SQUARES else np.float64


def _luma(planes: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Computes luma in thousandths, float32 [h, w], from float32 [3, h, w], which it overwrites."""
    planes *= _LUMA[:, np.newaxis, np.newaxis]
    luma = planes[0]
    luma += planes[1]
    luma += planes[2]
    return luma


def _laplacian(luma: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Computes four times each pixel minus its four neighbours, flat, where all four exist."""
    height, width = luma.shape
    if min(height, width) < 3:
        return np.zeros(0)
    # On one long row, neighbours are shifts; what the shifts take across its ends is cut off.
    flat = luma.ravel()
    edges = flat[width:-width] * np.float32(4)
    edges -= flat[: -2 * width]
    edges -= flat[2 * width :]
    edges -= flat[width - 1 : -width - 1]
    edges -= flat[width + 1 : flat.size - width + 1]
    return edges.reshape(height - 2, width)[:, 1:-1].astype(np.float64).ravel()


def _deviation(total: float, squares: float, count: int) -> float:
    if not count:
        return 0.0
    mean = total / count
    return float(np.sqrt(max(squares / count - mean * mean, 0.0)))
