"""Rasters and images whose pixels are classes: values or colours to class indexes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, field_validator, model_validator

from components.raster.errors import ConfigError
from components.raster.frozen import Frozen
from components.raster.labels.targets import MaskPixels, as_mask, ignore_value
from components.raster.text import ClassName
from components.raster.tiles.valid_mask import Mask


class ClassLegend(Frozen):
    """Legend of class rasters and masks: classes by pixel value, or by colour."""

    values: dict[int, ClassName] = Field(
        default_factory=dict, description="pixel value: class name"
    )
    colours: dict[str, ClassName] = Field(
        default_factory=dict, description='"#RRGGBB": class name; for RGB and palette images'
    )
    ignore: tuple[ClassName, ...] = Field(
        default=(), description="classes without truth, such as unlabelled"
    )

    @field_validator("colours")
    @classmethod
    def _are_colours(cls, colours: dict[str, str]) -> dict[str, str]:
        return {colour_text(parse_colour(text)): name for text, name in colours.items()}

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        if bool(self.values) == bool(self.colours):
            raise ValueError("give either values or colours, and at least one")
        unknown = set(self.ignore) - set(self.codes.values())
        if unknown:
            raise ValueError(
                f"ignore names {', '.join(sorted(unknown))}, which no pixel stands for"
            )
        return self

    @property
    def codes(self) -> dict[int, str]:
        """Pixel codes to class names; the code of a colour is 65536 r + 256 g + b."""
        return self.values or {parse_colour(text): name for text, name in self.colours.items()}

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes with truth, sorted: their positions are the class indexes."""
        return tuple(sorted(set(self.codes.values()) - set(self.ignore)))


@dataclass(frozen=True, eq=False)
class EncodedMask:
    """A mask of class indexes, and the codes that are missing from the legend.

    Attributes:
        pixels: (H, W) class indexes or the ignore value.
        undeclared: pixels of each code that the legend lacks; the mask ignores them.
    """

    pixels: MaskPixels
    undeclared: Mapping[int, int]


def parse_colour(text: str) -> int:
    """Parses "#RRGGBB" into a colour's code. Raises ValueError for other text.

    >>> parse_colour("#00FF00")
    65280
    """
    digits = text.removeprefix("#")
    if len(digits) != 6:
        raise ValueError(f"{text!r} is not a colour of the form #RRGGBB")
    return int(digits, 16)


def colour_text(code: int) -> str:
    """Formats a colour's code as "#RRGGBB".

    >>> colour_text(65280)
    '#00FF00'
    """
    return f"#{code:06X}"


def colour_codes(rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Computes codes (H, W) of colours (H, W, 3)."""
    if rgb.ndim != 3 or rgb.shape[2] != 3:
        raise ValueError(f"colours need three bands, and these pixels are {rgb.shape}")
    wide = rgb.astype(np.int64)
    return (wide[..., 0] << 16) | (wide[..., 1] << 8) | wide[..., 2]


def encode(
    codes: npt.NDArray[np.integer],
    legend: ClassLegend,
    class_names: Sequence[str],
    *,
    valid: Mask | None = None,
) -> EncodedMask:
    """Converts pixel codes (H, W), class raster values or `colour_codes`, to class indexes.

    Args:
        codes: integers.
        legend: their meaning.
        class_names: of the run, in the order of their indexes; they include the legend's.
        valid: pixels that are not valid are ignored.

    Raises:
        ConfigError: the legend has a class that is not one of the run's.
    """
    index = {name: place for place, name in enumerate(class_names)}
    unknown = sorted(set(legend.class_names) - set(index))
    if unknown:
        raise ConfigError(f"The legend's {', '.join(unknown)} are not among the run's classes.")
    ignore = ignore_value(len(class_names))
    found, inverse, counts = np.unique(codes, return_inverse=True, return_counts=True)
    meaning, undeclared = np.full(len(found), ignore, np.int64), {}
    for place, code in enumerate(found.tolist()):
        name = legend.codes.get(code)
        if name is None:
            undeclared[code] = int(counts[place])
        elif name not in legend.ignore:
            meaning[place] = index[name]
    pixels = meaning[inverse.reshape(codes.shape)]
    if valid is not None:
        pixels = np.where(valid, pixels, ignore)
    return EncodedMask(as_mask(pixels, len(class_names)), undeclared)
