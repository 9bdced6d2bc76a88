"""Configuration of the handling of rare classes."""

from typing import Literal

from pydantic import Field, model_validator

from components.raster.frozen import Frozen

#: What class weights apply to: each example, the presence of each class against its absence, or
#: each pixel.
Weighting = Literal["examples", "presence", "pixels"]


class Imbalance(Frozen):
    """Handling of rare classes; by default there is none."""

    class_weights: Literal["none", "inverse", "effective"] = Field(
        default="none",
        description="Weight of a class in the loss. inverse: inverse of its frequency. effective: "
        "inverse of its effective number of examples (Cui et al. 2019). With several "
        "labels an image, the presence of a class is weighted against its absence; in "
        "segmentation, the pixels of a class are weighted.",
    )
    beta: float = Field(
        default=0.999,
        gt=0,
        lt=1,
        description="For effective: near 1 the weights approach those of inverse, near 0 they "
        "become equal.",
    )
    most_weight: float = Field(
        default=100.0,
        ge=1,
        description="Largest weight of a class, as a multiple of the smallest.",
    )
    sampling: Literal["natural", "balanced"] = Field(
        default="natural",
        description="balanced: an epoch shows each class equally often, in as many examples as the "
        "split has; only for one label an image.",
    )
    focal_gamma: float | None = Field(
        default=None,
        ge=0,
        le=5,
        description="Exponent of the focal loss (Lin et al. 2017), which reduces the weight of "
        "examples that are already classified well; often 2. Default: plain "
        "cross-entropy.",
    )

    @model_validator(mode="after")
    def _corrected_once(self) -> "Imbalance":
        if self.sampling == "balanced" and self.class_weights != "none":
            raise ValueError(
                f"class_weights: {self.class_weights} and sampling: balanced would make rare "
                "classes count twice over; keep one of them"
            )
        return self
