"""Configuration of the random views in training, declared beside the layers that make them."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from components.raster.band_names import BandRequest
from components.raster.extension import Called
from components.raster.frozen import Frozen


class Chance(Frozen):
    """Random change of some images of a batch."""

    probability: float = Field(
        default=0.5, gt=0, le=1, description="Probability, drawn for each image."
    )


class Zoom(Chance):
    """Enlarges or shrinks the whole image about its centre."""

    least: float = Field(
        default=0.8,
        gt=0.1,
        le=10,
        description="Smallest factor; below 1 the image shrinks, and its rim is unknown.",
    )
    most: float = Field(
        default=1.25,
        gt=0.1,
        le=10,
        description="Largest factor; above 1 the image is enlarged and cut off at its edges.",
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.least > self.most:
            raise ValueError(f"least is {self.least:g}, which is above most, {self.most:g}")
        return self


class Crop(Chance):
    """Enlarges a random part of the image to the size of the image."""

    least_area: float = Field(
        default=0.5,
        gt=0.01,
        lt=1,
        description="Smallest area of the part, as a share of the image.",
    )


class Shift(Chance):
    """Moves the image along both axes; pixels from outside are unknown."""

    most: float = Field(
        default=0.1, gt=0, lt=1, description="Largest distance, as a share of height and width."
    )


class Brightness(Chance):
    """Multiplies all pixels of a band group by one factor, between 1 - most and 1 + most."""

    most: float = Field(
        default=0.2, gt=0, lt=1, description="Largest distance of the factor from 1."
    )


class Contrast(Chance):
    """Multiplies the distance from the image's mean by one factor for a band group."""

    most: float = Field(
        default=0.2, gt=0, lt=1, description="Largest distance of the factor from 1."
    )


class Colour(Chance):
    """Multiplies each band by its own factor, between 1 - most and 1 + most."""

    most: float = Field(default=0.1, gt=0, lt=1, description="Largest distance of a factor from 1.")


class Noise(Chance):
    """Adds normal noise to each value."""

    most: float = Field(
        default=0.1,
        gt=0,
        le=1,
        description="Largest standard deviation of the noise, as a share of that of the image in "
        "each band.",
    )


class Cutout(Chance):
    """Makes a rectangle unknown (DeVries and Taylor 2017)."""

    most: float = Field(
        default=0.4,
        gt=0,
        le=1,
        description="Largest side of the rectangle, as a share of the image's.",
    )


class Cloud(Chance):
    """Draws bright, soft patches over a part of the image."""

    cover: float = Field(default=0.5, gt=0, lt=1, description="Largest covered share of the image.")
    opacity: float = Field(default=0.9, gt=0, le=1, description="Opacity at the middle of a patch.")


class MissingBand(Chance):
    """Makes one band unknown, as when a channel of the sensor fails."""

    probability: float = Field(
        default=0.1, gt=0, le=1, description="Probability that an example loses a band."
    )


class Mixup(Chance):
    """Replaces image and target by weighted means of two examples (Zhang et al. 2018)."""

    alpha: float = Field(
        default=0.2,
        gt=0,
        description="Parameter of the Beta(alpha, alpha) distribution of the weights.",
    )


class Cutmix(Chance):
    """Replaces a rectangle by that of another image; targets mix by area (Yun et al. 2019)."""

    alpha: float = Field(
        default=1.0,
        gt=0,
        description="Parameter of the Beta(alpha, alpha) distribution of the area.",
    )


class CustomView(Called):
    """Your own random view, applied to a whole batch: see docs/extending.md."""

    group: ClassVar[str] = "skymill.views"
    passes: ClassVar[tuple[str, ...]] = ("batch", "seed")
    offers: ClassVar[tuple[str, ...]] = ("bands", "ignore_value")

    before: Literal[
        "flip", "zoom", "brightness", "noise", "cloud", "missing_band", "cutout", "mixup", "end"
    ] = Field(
        default="mixup",
        description="Built-in view before which this one is applied, whether that view is used "
        "or not: flip and quarter_turns, zoom (crop, shift), brightness (contrast, "
        "colour), noise, cloud, missing_band, cutout, mixup (cutmix). end: after "
        "all of them.",
    )


class Augment(Frozen):
    """The random views, applied in the order of the fields; custom views at the place that they
    name.

    Flips and quarter turns are on by default; the others apply if they are named.

    Pixels that become unknown are NaN in rasters and 0 in photographs; masks get their ignore
    value there, and boxes are cut off at the edge or dropped.
    """

    flip: tuple[Literal["horizontal", "vertical"], ...] = Field(
        default=("horizontal", "vertical"),
        description="Axes along which images are flipped, each with probability 1/2.",
    )
    quarter_turns: bool = Field(
        default=True, description="Random quarter turns; only of square images."
    )
    zoom: Zoom | None = None
    crop: Crop | None = None
    shift: Shift | None = None
    band_groups: tuple[Annotated[tuple[BandRequest, ...], Field(min_length=1)], ...] | None = Field(
        default=None,
        description="Groups of bands that share a factor of brightness and contrast; bands outside "
        "all groups form one more. Default: all bands form one group.",
    )
    brightness: Brightness | None = None
    contrast: Contrast | None = None
    colour: Colour | None = None
    noise: Noise | None = None
    cloud: Cloud | None = None
    missing_band: MissingBand | None = None
    cutout: Cutout | None = None
    mixup: Mixup | None = None
    cutmix: Cutmix | None = None
    custom: tuple[CustomView, ...] = Field(
        default=(), description="Your own views; those at the same place are applied in this order."
    )
    least_visible: float = Field(
        default=0.3,
        ge=0,
        le=1,
        description="Least visible share of a box; boxes below it are dropped.",
    )

    @property
    def mixes(self) -> bool:
        """True if views may give an image a share of another one's targets."""
        return self.mixup is not None or self.cutmix is not None


def chosen_views(augment: bool | Augment) -> Augment | None:
    """Returns the views that a model's `augment` stands for; True means flips and quarter turns."""
    if isinstance(augment, Augment):
        return augment
    return Augment() if augment else None
