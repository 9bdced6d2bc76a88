"""Configuration of the data check."""

from typing import Annotated, Literal

from pydantic import Field

from components.raster.frozen import Frozen

Divergence = Annotated[float, Field(ge=0, le=1)]


class FeatureThresholds(Frozen):
    """Thresholds of one feature; those not given are the thresholds of all features."""

    drift_threshold: Divergence | None = Field(
        default=None, description="Default: drift_threshold of all features."
    )
    skew_threshold: Divergence | None = Field(
        default=None, description="Default: skew_threshold of all features."
    )


class DataCheckConfig(Frozen):
    """Thresholds of the data check, in bits of Jensen-Shannon divergence: 0 equal, 1 disjoint."""

    severity: Literal["error", "warning"] = Field(
        default="error", description="Least severity of an anomaly that stops the run."
    )
    drift_threshold: Divergence = Field(
        default=0.1,
        description="Largest divergence between the training split and the data of the served "
        "version.",
    )
    skew_threshold: Divergence = Field(
        default=0.1,
        description="Largest divergence of the eval and test splits from the training split.",
    )
    per_feature: dict[str, FeatureThresholds] = Field(
        default={},
        description="Thresholds of single features. Slice features are compared only if they are "
        "named here, because splits by group and new places or dates change them by "
        "design.",
    )
    min_examples: int = Field(
        default=100,
        ge=1,
        description="Least number of examples whose distribution is compared; smaller samples "
        "differ by chance.",
    )
    ignore: tuple[str, ...] = Field(
        default=(), description="Features whose findings never stop the run."
    )
    examples_named: int = Field(
        default=5, ge=0, description="Number of offending examples that a finding names."
    )
    examples_scanned: int = Field(
        default=1_000_000,
        ge=0,
        description="Number of examples of a split that are read to find offending ones.",
    )
