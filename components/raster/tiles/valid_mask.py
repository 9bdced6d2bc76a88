"""Mask of valid pixels, combined from all nodata values, masks and alpha bands.

A pixel is valid if every selected band was measured there (`all`), or at least one (`any`). A band
was measured where its value is finite and not its nodata value, and where its own mask band, if the
file has one for each band, is not zero. A mask band of the whole file, or an alpha band, excludes
pixels where it is zero; partly transparent pixels are valid. The rules combine: a file with a
nodata value and a mask loses the pixels of both.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from components.raster.tiles.view import ValidWhen

# Integer types as wide as the flags of that many bands.
_WORDS: dict[int, type[np.unsignedinteger]] = {
    1: np.uint8,
    2: np.uint16,
    4: np.uint32,
    8: np.uint64,
}

Pixels = npt.NDArray[np.generic]
Mask = npt.NDArray[np.bool_]


def stored_nodata(nodata: float | None, dtype: str) -> np.generic | None:
    """Returns a nodata value in a dtype of pixels; None if no pixel can equal it.

    Some files declare -9999 for uint8 bands, or a float64 number for float32 pixels.

    >>> int(stored_nodata(0, "uint16"))
    0
    >>> print(stored_nodata(-9999, "uint8"))
    None
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
    """Checks whether no value can be invalid, so that pixels need no inspection."""
    return np.dtype(dtype).kind != "f" and all(value is None for value in nodata)


def valid_by_value(
    pixels: Pixels, nodata: Sequence[np.generic | None], valid_when: ValidWhen
) -> Mask:
    """Returns the mask of valid pixels, judged by their values.

    Args:
        pixels: (H, W, C).
        nodata: of each band, from `stored_nodata`.
        valid_when: `all` bands or `any`.

    Returns:
        (H, W), True where valid.

    >>> pixels = np.array([[[0, 7], [5, 7]]], np.uint8)
    >>> valid_by_value(pixels, [np.uint8(0), None], "all")
    array([[False,  True]])
    """
    if always_valid(nodata, str(pixels.dtype)):
        return np.ones(pixels.shape[:2], np.bool_)
    missing = _missing(pixels, nodata)
    word = _WORDS.get(pixels.shape[2])
    if word is None:
        return combine((~missing[..., band] for band in range(missing.shape[2])), valid_when)
    # A pixel's flags, one byte for each band, are compared as one number: numpy's own reductions
    # take ten times as long over such a short axis.
    answers = missing.view(word)[..., 0]
    valid: Mask = answers == 0 if valid_when == "all" else answers != _all_true(word)
    return valid


def combine(measured: Iterable[Mask], valid_when: ValidWhen) -> Mask:
    """Combines the masks of all bands into one."""
    masks = iter(measured)
    total = next(masks)
    for mask in masks:
        if valid_when == "all":
            total &= mask
        else:
            total |= mask
    return total


def _missing(pixels: Pixels, nodata: Sequence[np.generic | None]) -> Mask:
    """Returns a mask of each band's missing values (H, W, C)."""
    missing = ~np.isfinite(pixels) if pixels.dtype.kind == "f" else None
    if len(set(nodata)) == 1 and nodata[0] is not None:
        equal: Mask = np.equal(pixels, nodata[0])
        return equal if missing is None else np.logical_or(missing, equal, out=missing)
    if missing is None:
        missing = np.zeros(pixels.shape, np.bool_)
    for band, value in enumerate(nodata):
        if value is not None:
            missing[..., band] |= pixels[..., band] == value
    return missing


def _all_true(word: type[np.unsignedinteger]) -> np.unsignedinteger:
    return np.ones(np.dtype(word).itemsize, np.bool_).view(word)[0]
