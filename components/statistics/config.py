"""Configuration of the statistics."""

from pydantic import Field

from components.raster.frozen import Frozen


class StatisticsConfig(Frozen):
    """Computation of the statistics; the results do not depend on these settings."""

    in_memory_max_bytes: int = Field(
        default=2 * 1024**3,
        ge=0,
        description="Largest size of a split's TFRecords that are counted in this process; larger "
        "splits are counted on Beam.",
    )
    exclude: tuple[str, ...] = Field(
        default=(),
        description="Names of further features to leave out; images and keys are always left out.",
    )
