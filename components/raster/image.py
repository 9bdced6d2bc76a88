"""Image half of the served contract: fitting of images of any shape to the model."""

from enum import StrEnum
from typing import Literal, Self

from pydantic import Field, model_validator

from components.raster.band_names import BandRequest
from components.raster.frozen import Frozen

Fit = Literal["stretch", "pad", "crop"]
#: Meaning of the numbers in rasters: as stored, or with scale and offset applied.
Values = Literal["stored", "scaled"]

JPEG_MAGIC = b"\xff\xd8\xff"
PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
JPEG_SCAN_MARKER = b"\xff\xda"


class Refusal(StrEnum):
    """Reasons for which a model refuses an image; the served graph's error message begins with one.

    All but the last come from the decoder.
    """

    UNSUPPORTED_FORMAT = "unsupported_format"
    TOO_MANY_BYTES = "too_many_bytes"
    TOO_MANY_PIXELS = "too_many_pixels"
    TOO_MUCH_WORK = "too_much_work"
    CORRUPT = "corrupt"
    WRONG_BANDS = "wrong_bands"
    WRONG_VALUES = "wrong_values"
    NOT_FINITE = "not_finite"


class ImageSpec(Frozen):
    """Shape that a model sees, and limits on what the decoder accepts.

    The decoder is bounded by what the file's header declares, before a pixel is decoded. A clock
    would make the outcome depend on the machine, so time is bounded by its cause: the pixels times
    the number of JPEG scans (each scan of a progressive file touches every pixel again).
    """

    height_px: int = Field(default=64, ge=8, le=4096, description="Rows of the model's image.")
    width_px: int = Field(default=64, ge=8, le=4096, description="Columns of the model's image.")
    bands: tuple[BandRequest, ...] | None = Field(
        default=None,
        min_length=1,
        description="For rasters: the bands that the model sees, in its order, by name, common "
        "name or position from 1. Without bands: photographs, RGB.",
    )
    values: Values | None = Field(
        default=None,
        description="For rasters: what the model sees. stored: numbers as in the files; scaled:"
        " number * scale + offset, as stated by files and their metadata. Default: "
        "stored, and scenes that differ in scale or offset are refused.",
    )
    fit: Fit = Field(
        default="stretch",
        description="How an image is fitted to the shape. stretch: regardless of the aspect "
        "ratio; pad: the whole image, with zeros around it; crop: fills the shape "
        "and cuts off the excess evenly.",
    )
    max_bytes: int = Field(default=64 * 2**20, ge=1024, description="Largest file that is decoded.")
    max_pixels: int = Field(
        default=2**26,
        ge=64,
        description="Largest height times width, as decoded; for a tile, times its bands.",
    )
    max_scan_pixels: int = Field(
        default=10 * 2**26, ge=64, description="Largest number of pixels times JPEG scans."
    )

    @model_validator(mode="after")
    def _bands_differ(self) -> Self:
        if self.bands is not None and len(set(self.bands)) < len(self.bands):
            raise ValueError(f"bands names a band twice: {', '.join(self.bands)}")
        return self

    @model_validator(mode="after")
    def _values_are_of_rasters(self) -> Self:
        if self.values is not None and self.bands is None:
            raise ValueError("values is for rasters, which need bands; photographs are RGB")
        return self

    @property
    def shape(self) -> tuple[int, int, int]:
        """(H, W, C) of the model's input; photographs are RGB."""
        return (self.height_px, self.width_px, 3 if self.bands is None else len(self.bands))

    @property
    def pixel_type(self) -> Literal["uint8", "float32"]:
        """Pixel type of the model's input: uint8 for photographs, float32 with NaN for tiles."""
        return "uint8" if self.bands is None else "float32"
