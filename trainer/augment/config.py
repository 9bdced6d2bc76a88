"""Configuration of the random views in training, declared beside the layers that make them."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from components.raster.band_names import BandRequest
from components.raster.extension import Called
from components.raster.frozen import Frozen


class Chance(Frozen):
    """Something that happens to some images of a batch."""

    probability: float = Field(default=0.5, gt=0, le=1, description="For each image on its own.")


class Zoom(Chance):
    """The whole image larger or smaller about its centre."""

    least: float = Field(default=0.8, gt=0.1, le=10, description="Below 1: smaller, with a rim.")
    most: float = Field(default=1.25, gt=0.1, le=10, description="Above 1: larger, cut off.")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.least > self.most:
            raise ValueError(f"least is {self.least:g}, which is above most, {self.most:g}")
        return self


class Crop(Chance):
    """A part of the image, anywhere in it, enlarged to its size."""

    least_area: float = Field(default=0.5, gt=0.01, lt=1, description="Share of the image.")


class Shift(Chance):
    """The image moved along both axes; what comes in from outside is unknown."""

    most: float = Field(default=0.1, gt=0, lt=1, description="Share of height and width.")


class Brightness(Chance):
    """One factor for all pixels of a band group, between 1 - most and 1 + most."""

    most: float = Field(
        default=0.2, gt=0, lt=1, description="Largest distance of the factor from 1."
    )


class Contrast(Chance):
    """Distance from the image's mean, by one factor for a band group."""

    most: float = Field(
        default=0.2, gt=0, lt=1, description="Largest distance of the factor from 1."
    )


class Colour(Chance):
    """A factor for each band on its own, between 1 - most and 1 + most."""

    most: float = Field(default=0.1, gt=0, lt=1, description="Largest distance of a factor from 1.")


class Noise(Chance):
    """Normal noise on each value."""

    most: float = Field(
        default=0.1, gt=0, le=1, description="Deviation, as a share of the image's own by band."
    )


class Cutout(Chance):
    """A rectangle becomes unknown (DeVries and Taylor 2017)."""

    most: float = Field(default=0.4, gt=0, le=1, description="Its sides, as a share of the image.")


class Cloud(Chance):
    """Bright, soft patches over a part of the image."""

    cover: float = Field(default=0.5, gt=0, lt=1, description="Share of the image, at most.")
    opacity: float = Field(default=0.9, gt=0, le=1, description="At the middle of a patch.")


class MissingBand(Chance):
    """One band becomes unknown, as when a sensor's channel fails."""

    probability: float = Field(default=0.1, gt=0, le=1, description="Of an example to lose a band.")


class Mixup(Chance):
    """A weighted mean of two images and of their targets (Zhang et al. 2018)."""

    alpha: float = Field(default=0.2, gt=0, description="Weights come from Beta(alpha, alpha).")


class Cutmix(Chance):
    """A rectangle of another image; targets in shares of the area (Yun et al. 2019)."""

    alpha: float = Field(default=1.0, gt=0, description="The area comes from Beta(alpha, alpha).")


class CustomView(Called):
    """A random view of one's own, applied to a whole batch: see docs/extending.md."""

    group: ClassVar[str] = "skymill.views"
    passes: ClassVar[tuple[str, ...]] = ("batch", "seed")
    offers: ClassVar[tuple[str, ...]] = ("bands", "ignore_value")

    before: Literal[
        "flip", "zoom", "brightness", "noise", "cloud", "missing_band", "cutout", "mixup", "end"
    ] = Field(
        default="mixup",
        description="The built-in views that come next, used or not: flip and quarter_turns, "
        "zoom (crop, shift), brightness (contrast, colour), noise, cloud, missing_band, cutout, "
        "mixup (cutmix); end: none.",
    )


class Augment(Frozen):
    """The random views, applied in the order of the fields; custom ones where they say.

    Flips and quarter turns happen unless they are turned off, the others if they are named.

    Pixels that become unknown are NaN in rasters and 0 in photographs; masks get their ignore
    value there, and boxes are cut off at the edge or dropped.
    """

    flip: tuple[Literal["horizontal", "vertical"], ...] = Field(
        default=("horizontal", "vertical"), description="Axes, each with even chances."
    )
    quarter_turns: bool = Field(default=True, description="Where images are square.")
    zoom: Zoom | None = None
    crop: Crop | None = None
    shift: Shift | None = None
    band_groups: tuple[Annotated[tuple[BandRequest, ...], Field(min_length=1)], ...] | None = Field(
        default=None,
        description="Bands that brighten together; bands of no group are one more. None: all.",
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
        default=(), description="Views of one's own, in this order where they share a place."
    )
    least_visible: float = Field(
        default=0.3, ge=0, le=1, description="Boxes of which less remains in sight are dropped."
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
