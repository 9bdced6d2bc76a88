"""Options of explanations by a served model."""

from typing import Literal

from pydantic import Field

from components.raster.frozen import Frozen


class Explanations(Frozen):
    """Explanations by the model's gradients, computed in the served graph."""

    steps: int = Field(
        default=16,
        ge=1,
        le=512,
        description="Steps of integrated gradients: more take more time, and reduce the "
        "completeness gap.",
    )
    baseline: Literal["mean", "zero"] = Field(
        default="mean",
        description="Image from which the gradients are integrated. mean: the mean of the image's "
        "own valid pixels in each band; zero: zeros.",
    )
