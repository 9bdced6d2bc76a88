"""Configuration of a user-defined metric."""

from typing import ClassVar

from pydantic import Field

from components.raster.extension import Called


class CustomMetric(Called):
    """A function of one example's truth and prediction: see docs/extending.md."""

    group: ClassVar[str] = "skymill.metrics"
    passes: ClassVar[tuple[str, ...]] = ("truth", "prediction")
    offers: ClassVar[tuple[str, ...]] = ("classes",)

    name: str = Field(
        pattern="^[a-z][a-z0-9_]*$",
        description="Name in metrics.json, on the page and in thresholds.",
    )
