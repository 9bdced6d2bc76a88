"""What may be done about rare classes."""

from typing import Literal

from pydantic import Field

from components.raster.frozen import Frozen


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
