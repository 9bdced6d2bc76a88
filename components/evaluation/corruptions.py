"""Corruptions that occur in imagery, at three strengths, for pixels of any type and bands.

Strengths are relative to the image's own values, so they mean the same for reflectances, raw
numbers and photographs. Random choices depend only on the example's key.
"""

import hashlib
import io
from collections.abc import Callable, Mapping
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from components.raster.opencv import opencv

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

#: haze: a veil of the image's bright tone; blur: out of focus; noise: of the sensor; darkness: less
#: light; missing_band: bands that hold one value; jpeg: lossy compression; nodata: columns without
#: data; shift: pixels displaced from their truth.
CorruptionName = Literal[
    "haze", "blur", "noise", "darkness", "missing_band", "jpeg", "nodata", "shift"
]
CORRUPTIONS: tuple[CorruptionName, ...] = get_args(CorruptionName)
STRENGTHS = (1, 2, 3)

#: Parameter of each corruption at strengths 1 to 3.
_LEVELS: Mapping[CorruptionName, tuple[float, float, float]] = {
    "haze": (0.2, 0.4, 0.6),  # share of the veil
    "blur": (0.7, 1.5, 3.0),  # standard deviation of the kernel, pixels
    "noise": (0.1, 0.25, 0.5),  # standard deviation, in that of the band
    "darkness": (0.2, 0.4, 0.6),  # share of light that is lost
    "missing_band": (1, 2, 3),  # bands
    "jpeg": (50, 20, 8),  # quality
    "nodata": (0.1, 0.25, 0.5),  # share of the columns
    "shift": (1, 2, 4),  # pixels
}
_BRIGHT_PERCENTILE = 98
_Corrupted = tuple[Floats, Mask]
_Corrupt = Callable[[Floats, Mask, float, np.random.Generator], _Corrupted]


def corrupted(
    pixels: npt.NDArray[np.generic], valid: Mask, name: CorruptionName, strength: int, key: str
) -> tuple[npt.NDArray[np.generic], Mask]:
    """Returns corrupted pixels of the same type and shape, and the mask of the valid ones.

    Args:
        pixels: [H, W, C].
        valid: [H, W]; without a valid pixel nothing changes.
        name: of the corruption.
        strength: 1 to 3.
        key: of the example; the same key gives the same pixels, and all strengths share the
            random draws.
    """
    if not valid.any():
        return pixels, valid
    rng = np.random.default_rng(_seed(f"{key}\0{name}"))
    filled = _filled(pixels.astype(np.float64), valid)
    found, left = _CORRUPT[name](filled, valid, _LEVELS[name][strength - 1], rng)
    kind = pixels.dtype
    if np.issubdtype(kind, np.integer):
        limits = np.iinfo(kind.name)
        found = np.clip(np.rint(found), limits.min, limits.max)
    typed: npt.NDArray[np.generic] = found.astype(kind)
    if name != "nodata":
        typed[~valid] = pixels[~valid]
    return typed, left


def _filled(pixels: Floats, valid: Mask) -> Floats:
    """Replaces invalid pixels by their band's mean, so that they do not spread."""
    known = valid & np.isfinite(pixels).all(axis=2)
    means = pixels[known].mean(axis=0) if known.any() else np.zeros(pixels.shape[2])
    return np.where(known[..., np.newaxis], pixels, means)


def _haze(pixels: Floats, valid: Mask, level: float, rng: np.random.Generator) -> _Corrupted:
    bright = np.percentile(pixels[valid], _BRIGHT_PERCENTILE, axis=0)
    return pixels * (1 - level) + bright * level, valid


def _blur(pixels: Floats, valid: Mask, level: float, rng: np.random.Generator) -> _Corrupted:
    cv2 = opencv()
    blurred = cv2.GaussianBlur(pixels, (0, 0), level, borderType=cv2.BORDER_REFLECT_101)
    return np.asarray(blurred, np.float64).reshape(pixels.shape), valid


def _noise(pixels: Floats, valid: Mask, level: float, rng: np.random.Generator) -> _Corrupted:
    deviations = pixels[valid].std(axis=0)
    return pixels + rng.normal(size=pixels.shape) * deviations * level, valid


def _darkness(pixels: Floats, valid: Mask, level: float, rng: np.random.Generator) -> _Corrupted:
    return pixels * (1 - level), valid


def _missing_band(
    pixels: Floats, valid: Mask, level: float, rng: np.random.Generator
) -> _Corrupted:
    bands = pixels.shape[2]
    count = min(int(level), max(bands - 1, 1))
    found = pixels.copy()
    found[..., rng.permutation(bands)[:count]] = 0
    return found, valid


def _jpeg(pixels: Floats, valid: Mask, level: float, rng: np.random.Generator) -> _Corrupted:
    """Compresses each band by itself, between its least and its greatest value."""
    from PIL import Image

    found = np.empty_like(pixels)
    for band in range(pixels.shape[2]):
        plane = pixels[..., band]
        least, spread = plane.min(), np.ptp(plane) or 1.0
        file = io.BytesIO()
        gray = np.rint((plane - least) / spread * 255).astype(np.uint8)
        Image.fromarray(gray).save(file, "JPEG", quality=int(level))
        found[..., band] = np.asarray(Image.open(file), np.float64) / 255 * spread + least
    return found, valid


def _nodata(pixels: Floats, valid: Mask, level: float, rng: np.random.Generator) -> _Corrupted:
    """Removes columns at one side, as at the edge of a scene; leaves at least one valid pixel."""
    width = pixels.shape[1]
    count = min(round(width * level), width - 1)
    gone = np.zeros(valid.shape, bool)
    gone[:, :count] = True
    if rng.random() < 0.5:
        gone = gone[:, ::-1]
    if not (valid & ~gone).any():
        return pixels, valid
    return np.where(gone[..., np.newaxis], 0, pixels), valid & ~gone


def _shift(pixels: Floats, valid: Mask, level: float, rng: np.random.Generator) -> _Corrupted:
    """Moves the image to the right; its edge is repeated."""
    columns = np.maximum(np.arange(pixels.shape[1]) - int(level), 0)
    return pixels[:, columns], valid


_CORRUPT: Mapping[CorruptionName, _Corrupt] = {
    "haze": _haze,
    "blur": _blur,
    "noise": _noise,
    "darkness": _darkness,
    "missing_band": _missing_band,
    "jpeg": _jpeg,
    "nodata": _nodata,
    "shift": _shift,
}


def _seed(text: str) -> int:
    return int.from_bytes(
        hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()[:8], "big"
    )
