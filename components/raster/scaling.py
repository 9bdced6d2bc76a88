"""Scale and offset of a band: from stored numbers to physical values.

A value is `number * scale + offset`, as in GDAL, STAC's raster extension and Landsat's metadata.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.generic]


class Scaling(NamedTuple):
    """Scale and offset of one band.

    >>> print(Scaling(0.0001, -0.1))
    number * 0.0001 - 0.1
    """

    scale: float = 1.0
    offset: float = 0.0

    def __str__(self) -> str:
        if self == (1, 0):
            return "the number itself"
        offset = f" {'-' if self.offset < 0 else '+'} {abs(self.offset):g}" if self.offset else ""
        return f"number * {self.scale:g}{offset}"

    @property
    def terse(self) -> str:
        """Scale and offset with six digits, separated by a space."""
        return f"{self.scale:g} {self.offset:g}"

    @property
    def rounded(self) -> "Scaling":
        """Rounds to six digits, so that metadata once kept in 32 bits compare equal."""
        return Scaling(*(float(f"{number:.5e}") for number in self))


#: Scaling of bands whose stored numbers are their values.
UNSCALED = Scaling()


def scaling_of(scale: Any, offset: Any) -> Scaling:
    """Returns scale and offset from metadata; None means not stated.

    Raises:
        ValueError: one of them is not a finite number, or the scale is 0.
    """
    try:
        # Adding 0 turns -0.0 into 0.0.
        found = Scaling(1.0 if scale is None else float(scale), float(offset or 0) + 0.0)
    except (TypeError, ValueError):
        found = Scaling(math.nan, math.nan)
    if not all(map(math.isfinite, found)) or not found.scale:
        raise ValueError(f"scale {scale!r} and offset {offset!r} cannot be applied")
    return found


def scaling_given(scale: float | None, offset: float | None) -> Scaling | None:
    """Returns the scaling that a user sets for all bands; None if neither part is set."""
    return None if scale is None and offset is None else scaling_of(scale, offset)


def scaled(pixels: Pixels, scalings: Sequence[Scaling], dtype: str) -> Pixels:
    """Applies scale and offset to stored numbers.

    Args:
        pixels: (H, W, C), as files store them.
        scalings: of the C bands.
        dtype: of the values; a float.

    Returns:
        (H, W, C) of that dtype.

    >>> scaled(np.array([[[5000]]], np.uint16), [Scaling(0.0001, -0.1)], "float32")
    array([[[0.4]]], dtype=float32)
    """
    values = np.empty(pixels.shape, dtype)
    if len(set(scalings)) == 1:
        _scale(pixels, scalings[0], values)
    else:
        for band, scaling in enumerate(scalings):
            _scale(pixels[..., band], scaling, values[..., band])
    return values


def _scale(numbers: Pixels, scaling: Scaling, out: Pixels) -> None:
    # The product is computed in double precision before it is rounded, also for 32-bit integers.
    with np.errstate(over="ignore"):  # too large a value becomes infinite, and invalid
        np.multiply(numbers, scaling.scale, out=out, dtype=np.float64, casting="unsafe")
    if scaling.offset:
        out += scaling.offset  # type: ignore[misc]
