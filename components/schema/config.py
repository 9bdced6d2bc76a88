"""Configuration of the schema."""

from pydantic import Field

from components.raster.frozen import Frozen
from components.raster.location import Location
from components.raster.text import ClassName


class SchemaConfig(Frozen):
    """Where the accepted schema lives, and what is known before any data was seen."""

    home: Location = Field(
        default="schema.pbtxt",
        description="The file or uri of the accepted schema, a text protocol buffer that may be "
        "edited by hand. While there is none, every run infers one from its training split.",
    )
    classes: tuple[ClassName, ...] = Field(
        default=(),
        description="All class names, where they are known; otherwise those of the training split.",
    )
