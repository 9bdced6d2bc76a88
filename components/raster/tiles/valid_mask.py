"""One mask of valid pixels from everything that can say that a pixel is none.

A pixel is valid when every selected band was measured there (`all`), or at least one (`any`).
A band was measured where its value is neither its nodata value nor NaN, and where its own mask
band, if the file has one for each band, is not zero. A mask band of the whole file, or an alpha
band, rules out a pixel where it is zero; partly transparent pixels are valid. The rules add up: a
file with a nodata value and a mask loses the pixels of both.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from components.raster.tiles.view import ValidWhen

Pixels = npt.NDArray[np.generic]
Mask = npt.NDArray[np.bool_]


def stored_nodata(nodata: float | None, dtype: str) -> np.generic | None:
    """A nodata value as pixels of a dtype hold it; None when none can be equal to it.

    Files declare -9999 for uint8 bands, and float64 text for float32 pixels.
    """
    if nodata is None:
        return None
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return kind.type(nodata)
    if not np.isfinite(nodata) or nodata != int(nodata):
        return None
    limits = np.iinfo(kind)
    return kind.type(int(nodata)) if limits.min <= nodata <= limits.max else None


def always_valid(nodata: Sequence[np.generic | None], dtype: str) -> bool:
    """Whether no value can be invalid, so that pixels need not be looked at."""
    return np.dtype(dtype).kind != "f" and all(value is None for value in nodata)


def valid_by_value(
    pixels: Pixels, nodata: Sequence[np.generic | None], valid_when: ValidWhen
) -> Mask:
    """Where bands were measured, judged by their values.

    Args:
        pixels: (H, W, C).
        nodata: for each band, as `stored_nodata` gives it.
        valid_when: `all` bands or `any`.

    Returns:
        (H, W), True where valid.
    """
    if always_valid(nodata, str(pixels.dtype)):
        return np.ones(pixels.shape[:2], np.bool_)
    measured = (_measured(pixels[..., band], value) for band, value in enumerate(nodata))
    return combine(measured, valid_when)


def combine(measured: Iterable[Mask], valid_when: ValidWhen) -> Mask:
    """One mask from that of every band."""
    masks = iter(measured)
    total = next(masks)
    for mask in masks:
        if valid_when == "all":
            total &= mask
        else:
            total |= mask
    return total


def _measured(band: Pixels, nodata: np.generic | None) -> Mask:
    if band.dtype.kind != "f":
        return np.not_equal(band, nodata) if nodata is not None else np.ones(band.shape, np.bool_)
    found = ~np.isnan(band)
    if nodata is not None and not np.isnan(nodata):
        found &= band != nodata
    return found
