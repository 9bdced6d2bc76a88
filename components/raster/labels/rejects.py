"""Labels that cannot be used."""

from dataclasses import dataclass
from pathlib import PurePosixPath

from components.raster.reasons import Reason


@dataclass(frozen=True)
class LabelReject:
    """A label that was left out.

    Attributes:
        source: the file it comes from.
        number: its feature id in that file.
    """

    source: str
    number: int
    reason: Reason
    detail: str

    @property
    def key(self) -> str:
        """File name and number."""
        return f"{PurePosixPath(self.source).name}#{self.number}"
