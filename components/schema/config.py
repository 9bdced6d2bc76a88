"""Configuration of the schema."""

from pydantic import Field

from components.raster.frozen import Frozen
from components.raster.location import Location
from components.raster.text import ClassName


class SchemaConfig(Frozen):
    """Location of the accepted schema, and classes known beforehand."""

    home: Location = Field(
        default="schema.pbtxt",
        description="File or URI of the accepted schema, a text protocol buffer that may be "
        "edited. Until it exists, every run infers a schema from its training split.",
    )
    classes: tuple[ClassName, ...] = Field(
        default=(),
        description="All class names, if known. Default: those of the training split.",
    )
