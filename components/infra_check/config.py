"""Configuration of the server test before a push."""

from pydantic import Field

from components.raster.frozen import Frozen


class InfraCheckConfig(Frozen):
    """What the server is asked, and how exactly and soon it must answer."""

    split: str = Field(default="test", min_length=1, description="Whose examples are sent.")
    examples: int = Field(default=16, ge=1, le=1000, description="How many examples are sent.")
    tolerance: float = Field(
        default=1e-4,
        gt=0,
        description="The largest difference of a probability between server and process.",
    )
    load_timeout_s: float = Field(default=120.0, gt=0, description="For starting and loading.")
    request_timeout_s: float = Field(default=30.0, gt=0, description="For one request.")
    warmup_requests: int = Field(
        default=8,
        ge=0,
        le=1000,
        description="How many examples are put beside the model as warm-up requests, which a "
        "server runs before it serves; 0 for none.",
    )
    warmup_max_bytes: int = Field(
        default=4 << 20, ge=0, description="The most that the warm-up requests may weigh."
    )
