"""Configuration of the handling of rare classes."""

from typing import Literal

from pydantic import Field, model_validator

from components.raster.frozen import Frozen

#: What class weights apply to: each example, the presence of each class against its absence, or
#: each pixel.
Weighting = Literal["examples", "presence", "pixels"]


class Imbalance(Frozen):
    """What is done about rare classes; without a word nothing is."""

    class_weights: Literal["none", "inverse", "effective"] = Field(
        default="none",
        description="inverse: by one over a class's examples; effective: by its effective number "
        "(Cui et al. 2019). Of several labels a class's presence is weighted against its absence, "
        "of masks its pixels.",
    )
    beta: float = Field(
        default=0.999, gt=0, lt=1, description="Of effective numbers: nearer to 1, nearer inverse."
    )
    most_weight: float = Field(
        default=100.0,
        ge=1,
        description="A class's weight, as a multiple of the least, is cut here.",
    )
    sampling: Literal["natural", "balanced"] = Field(
        default="natural",
        description="balanced: each class equally often in an epoch, of as many examples as there "
        "are; one label an image only.",
    )
    focal_gamma: float | None = Field(
        default=None,
        ge=0,
        le=5,
        description="Focal loss (Lin et al. 2017): what is known already counts less; often 2.",
    )

    @model_validator(mode="after")
    def _corrected_once(self) -> "Imbalance":
        if self.sampling == "balanced" and self.class_weights != "none":
            raise ValueError(
                f"class_weights: {self.class_weights} and sampling: balanced would make rare "
                "classes count twice over; keep one of them"
            )
        return self
