"""Configuration of the server test before a push."""

from pydantic import Field

from components.raster.frozen import Frozen


class InfraCheckConfig(Frozen):
    """Requests to the server under test, and the precision and time of its answers."""

    split: str = Field(default="test", min_length=1, description="Split whose examples are sent.")
    examples: int = Field(
        default=16, ge=1, le=1000, description="Number of examples that are sent."
    )
    tolerance: float = Field(
        default=1e-4,
        gt=0,
        description="Largest difference between a probability of the server and that of the model "
        "in this process.",
    )
    load_timeout_s: float = Field(
        default=120.0, gt=0, description="Time for starting the server and loading the model."
    )
    request_timeout_s: float = Field(default=30.0, gt=0, description="Time for one request.")
    warmup_requests: int = Field(
        default=8,
        ge=0,
        le=1000,
        description="Number of examples stored with the model as warm-up requests, which a server "
        "runs before it serves; 0: none.",
    )
    warmup_max_bytes: int = Field(
        default=4 << 20, ge=0, description="Largest size of all warm-up requests."
    )
