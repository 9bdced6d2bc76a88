"""Stretch of measured values to a picture.

Each band is stretched separately: the low percentile of its valid pixels becomes 0, the high one
255, with linear interpolation between (percentiles by `numpy.percentile`'s linear method); values
beyond are clipped. A band of one value becomes mid-grey. Invalid pixels get a separate colour.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from components.raster.tiles.valid_mask import Mask, Pixels

Picture = npt.NDArray[np.uint8]

LOW_PERCENT, HIGH_PERCENT = 2.0, 98.0
#: The colour of pixels without data, rare in stretched pictures of land.
NODATA_RGB = (255, 0, 255)
_GREY = 128
_NATURAL = ("red", "green", "blue")
#: About the number of pixels of each tile from which common percentiles are computed.
_SAMPLE_PX = 4096


@dataclass(frozen=True)
class Stretch:
    """Values that become 0 and 255, for each band of a picture."""

    low: tuple[float, ...]
    high: tuple[float, ...]


def stretch_of(
    tiles: Iterable[tuple[Pixels, Mask]],
    bands: tuple[int, ...],
    *,
    low_percent: float = LOW_PERCENT,
    high_percent: float = HIGH_PERCENT,
) -> Stretch:
    """Computes the common stretch of several tiles, so that their pictures can be compared.

    Args:
        tiles: pixels (H, W, C) and valid masks; evenly spaced pixels of each are used.
        bands: indexes of the bands to show, from 0.
        low_percent: percentile that becomes 0.
        high_percent: percentile that becomes 255.
    """
    if not 0 <= low_percent < high_percent <= 100:
        raise ValueError(f"percentiles {low_percent:g} and {high_percent:g} are not in order")
    samples = []
    for pixels, valid in tiles:
        rows, cols = np.nonzero(valid)
        step = max(len(rows) // _SAMPLE_PX, 1)
        chosen = pixels[rows[::step], cols[::step]][:, list(bands)]
        samples.append(chosen.astype(np.float64))
    values = np.concatenate(samples) if samples else np.empty((0, len(bands)))
    values = values[np.isfinite(values).all(axis=1)]
    if not len(values):
        return Stretch((0.0,) * len(bands), (1.0,) * len(bands))
    low, high = np.percentile(values, [low_percent, high_percent], axis=0)
    return Stretch(tuple(low.tolist()), tuple(high.tolist()))


def picture_of(
    pixels: Pixels,
    valid: Mask,
    bands: tuple[int, ...],
    stretch: Stretch,
    *,
    nodata_rgb: tuple[int, int, int] = NODATA_RGB,
) -> Picture:
    """Renders one (grey) or three bands under a stretch as RGB uint8 (H, W, 3)."""
    if len(bands) not in (1, 3) or len(stretch.low) != len(bands):
        raise ValueError("a picture shows one band or three, with a stretch for each")
    # Band by band: numpy takes ten times as long over an axis of three.
    shown = [
        _stretched(pixels[..., band], low, high)
        for band, low, high in zip(bands, stretch.low, stretch.high, strict=True)
    ]
    picture = np.stack(shown if len(bands) == 3 else shown * 3, axis=-1)
    picture[~valid] = nodata_rgb
    return picture


def _stretched(values: Pixels, low: float, high: float) -> Picture:
    """Returns values (H, W) as bytes; 0 where there is no number."""
    if high <= low:
        return np.full(values.shape, _GREY, np.uint8)
    scaled = values.astype(np.float64)
    with np.errstate(invalid="ignore"):
        scaled -= low
        scaled /= high - low
        scaled *= 255
    np.fmax(scaled, 0, out=scaled)  # a maximum would keep NaN
    np.minimum(scaled, 255, out=scaled)
    return np.rint(scaled, out=scaled).astype(np.uint8)


def natural_bands(names: tuple[str, ...]) -> tuple[str, ...]:
    """Returns red, green and blue if all three are among the names, else nothing.

    >>> natural_bands(("blue", "green", "red", "nir08"))
    ('red', 'green', 'blue')
    """
    return _NATURAL if set(_NATURAL) <= set(names) else ()


def choose_bands(names: tuple[str, ...], wanted: tuple[str | int, ...] = ()) -> tuple[int, ...]:
    """Returns indexes (from 0) of the bands to show: those wanted, else the first three or one.

    Raises:
        ValueError: there is no such band.

    >>> choose_bands(("B02", "B03", "B04", "B08"), ("B08", "B04", "B03"))
    (3, 2, 1)
    """
    if not wanted:
        return (0, 1, 2) if len(names) >= 3 else (0,)
    found = []
    for item in wanted:
        if isinstance(item, int) and 1 <= item <= len(names):
            found.append(item - 1)
        elif isinstance(item, str) and item in names:
            found.append(names.index(item))
        else:
            raise ValueError(f"no band {item!r}; there are {', '.join(names)}")
    return tuple(found)
