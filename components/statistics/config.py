"""Configuration of the statistics."""

from pydantic import Field

from components.raster.frozen import Frozen


class StatisticsConfig(Frozen):
    """How statistics are computed; the answer is the same, bit for bit, whatever is chosen."""

    in_memory_max_bytes: int = Field(
        default=2 * 1024**3,
        ge=0,
        description="A split whose TFRecords are larger than this is counted on Beam.",
    )
    exclude: tuple[str, ...] = Field(
        default=(),
        description="Further features to leave out, by name; images and keys always are.",
    )
