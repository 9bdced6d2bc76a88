"""Configuration of the user's own gates."""

from typing import ClassVar

from pydantic import Field

from components.raster.extension import Called


class CustomGate(Called):
    """A function from the measurements of a run to findings: see docs/extending.md."""

    group: ClassVar[str] = "skymill.gates"
    passes: ClassVar[tuple[str, ...]] = ("evidence",)

    name: str = Field(pattern="^[a-z][a-z0-9_]*$", description="Name in reports and messages.")
