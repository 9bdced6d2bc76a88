"""Configuration of the served version's look-up."""

from pydantic import Field

from components.raster.frozen import Frozen


class BaselineConfig(Frozen):
    """Where the version being served is looked up."""

    endpoint: str | None = Field(
        default=None,
        description="The prediction server to ask, as grpc://host:port or http://host:port. "
        "Without one, the newest complete version in the version folder counts as served.",
    )
    timeout_s: float = Field(default=10.0, gt=0, description="How long the server may take.")
