"""Comparison of a mask collection's colours with its legend."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from components.raster.errors import DataError
from components.raster.labels.class_raster import (
    ClassLegend,
    colour_codes,
    colour_text,
    parse_colour,
)
from components.raster.library_errors import translated
from components.raster.scene.gdal import page_count

#: Colours that differ by at most this much in every band count as altered versions of one.
NEAR_LEVELS = 12


@dataclass(frozen=True)
class PaletteReport:
    """Declared colours compared with those found.

    Attributes:
        pixels: number of pixels of each found colour, declared or not; most first.
        declared: colour to class, from the legend.
        files: number of masks in which each found colour occurs.
        unreadable: masks that could not be read, and why.
    """

    pixels: Mapping[str, int]
    declared: Mapping[str, str]
    files: Mapping[str, int]
    unreadable: Mapping[Path, str] = field(default_factory=dict)

    @property
    def missing(self) -> tuple[str, ...]:
        """Declared colours that no pixel has."""
        return tuple(colour for colour in self.declared if colour not in self.pixels)

    @property
    def undeclared(self) -> tuple[str, ...]:
        """Found colours without a class, in order of decreasing pixel count."""
        return tuple(colour for colour in self.pixels if colour not in self.declared)

    @property
    def undeclared_fraction(self) -> float:
        """Share of all pixels whose colour the legend does not declare."""
        total = sum(self.pixels.values())
        return sum(self.pixels[colour] for colour in self.undeclared) / total if total else 0.0

    @property
    def passed(self) -> bool:
        """True if every pixel has a declared colour; classes without pixels are allowed."""
        return not self.undeclared

    def suggestions(self) -> dict[str, str]:
        """Undeclared colours, each with the declared one that it is close to (lossy files)."""
        return {
            colour: near
            for colour in self.undeclared
            if (near := _nearest(colour, self.declared)) is not None
        }

    def text(self) -> str:
        """Formats the report for people; one line if it passed."""
        if self.passed:
            return f"All pixels have one of the {len(self.declared)} declared colours."
        total, near = sum(self.pixels.values()), self.suggestions()
        lines = [
            f"{self.undeclared_fraction:.1%} of the pixels have a colour that no class declares:"
        ]
        for colour in self.undeclared:
            other = near.get(colour)
            hint = f"; close to {other} ({self.declared[other]})" if other else ""
            share = f"{self.pixels[colour] / total:.2%}"
            count = f"{self.pixels[colour]} pixels ({share}) in {self.files[colour]} masks"
            lines.append(f"  {colour}  {count}{hint}")
        if self.missing:
            names = ", ".join(f"{colour} ({self.declared[colour]})" for colour in self.missing)
            lines.append(f"Declared and never found: {names}.")
        lines.append(
            "Look at the masks beside their images and correct the legend's colours; "
            "pixels of undeclared colours would be left out of training."
        )
        return "\n".join(lines)


def check_palette(masks: Iterable[Path], legend: ClassLegend) -> PaletteReport:
    """Counts the colours of mask images and compares them with a legend's.

    Raises:
        DataError: there is no mask that can be read.
    """
    pixels: Counter[int] = Counter()
    files: Counter[int] = Counter()
    unreadable = {}
    for path in masks:
        try:
            colours = read_colours(path)
        except DataError as error:
            unreadable[path] = str(error)
            continue
        found, counts = np.unique(colour_codes(colours), return_counts=True)
        pixels.update(dict(zip(found.tolist(), counts.tolist(), strict=True)))
        files.update(found.tolist())
    if not pixels:
        first = next((f" ({why})" for why in unreadable.values()), "")
        raise DataError(f"There are no masks to check the legend's colours against{first}.")
    ordered = pixels.most_common()
    return PaletteReport(
        pixels={colour_text(code): count for code, count in ordered},
        declared=dict(legend.colours),
        files={colour_text(code): files[code] for code, _ in ordered},
        unreadable=unreadable,
    )


def read_colours(path: Path) -> npt.NDArray[np.uint8]:
    """Reads the colours of a mask image, (H, W, 3); resolves palettes, drops an alpha band.

    Raises:
        DataError: it cannot be read, or has several pages.
    """

    def unreadable(why: str) -> DataError:
        return DataError(f"Mask {path} cannot be read: {why}")

    pages = page_count(str(path))
    if pages > 1:
        raise unreadable(f"it has {pages} pages; write the right one to a separate file")
    with translated(unreadable, document=True), Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def _nearest(colour: str, declared: Mapping[str, str]) -> str | None:
    """Returns the declared colour closest to another, if it is close."""
    distances = {other: _levels(colour, other) for other in declared}
    best = min(distances, key=lambda other: distances[other], default=None)
    return best if best is not None and distances[best] <= NEAR_LEVELS else None


def _levels(first: str, second: str) -> int:
    """Returns the largest difference of two colours in a band."""
    pairs = zip(
        parse_colour(first).to_bytes(3, "big"),
        parse_colour(second).to_bytes(3, "big"),
        strict=True,
    )
    return max(abs(one - other) for one, other in pairs)
