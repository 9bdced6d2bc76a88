"""Configuration of the served version's look-up."""

from pydantic import Field

from components.raster.frozen import Frozen


class BaselineConfig(Frozen):
    """Source of the served version's number."""

    endpoint: str | None = Field(
        default=None,
        description="Prediction server that reports the served version: grpc://host:port or "
        "http://host:port. Default: the newest complete version in the version folder "
        "counts as served.",
    )
    timeout_s: float = Field(default=10.0, gt=0, description="Time for the server's answer.")
