"""Configuration of the data check."""

from typing import Annotated, Literal

from pydantic import Field

from components.raster.frozen import Frozen

Divergence = Annotated[float, Field(ge=0, le=1)]


class FeatureThresholds(Frozen):
    """One feature's own bounds; what is left out is the default's."""

    drift_threshold: Divergence | None = Field(
        default=None, description="Default: that of all features."
    )
    skew_threshold: Divergence | None = Field(
        default=None, description="Default: that of all features."
    )


class DataCheckConfig(Frozen):
    """Jensen-Shannon divergence is in bits: 0 for equal distributions, 1 for disjoint ones."""

    severity: Literal["error", "warning"] = Field(
        default="error", description="Anomalies of at least this severity stop the run."
    )
    drift_threshold: Divergence = Field(
        default=0.1,
        description="Largest divergence of the training split from the data of the served version.",
    )
    skew_threshold: Divergence = Field(
        default=0.1,
        description="Largest divergence of the eval and the test split from the training split.",
    )
    per_feature: dict[str, FeatureThresholds] = Field(
        default={},
        description="Thresholds of single features. Slice features are compared only when named "
        "here, because splits by group and new places or dates change them by design.",
    )
    min_examples: int = Field(
        default=100,
        ge=1,
        description="Distributions of fewer examples than this are not compared: they differ by "
        "chance.",
    )
    ignore: tuple[str, ...] = Field(
        default=(), description="Features about which nothing stops a run."
    )
    examples_named: int = Field(
        default=5, ge=0, description="How many offending examples a finding names."
    )
    examples_scanned: int = Field(
        default=1_000_000, ge=0, description="How many examples of a split are read to find them."
    )
