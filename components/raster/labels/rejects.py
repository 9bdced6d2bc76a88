"""Reason codes of labels that cannot be used."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath


class LabelRefusal(StrEnum):
    """The reason codes of single labels."""

    EMPTY_GEOMETRY = "empty_geometry"
    UNSUPPORTED_GEOMETRY = "unsupported_geometry"
    BROKEN_GEOMETRY = "broken_geometry"
    SELF_CROSSING = "self_crossing"
    NO_CLASS = "no_class"
    UNKNOWN_CLASS = "unknown_class"
    NO_NUMBER = "no_number"
    NOT_PROJECTABLE = "not_projectable"
    OUTSIDE_SCENES = "outside_scenes"
    BAD_ENTRY = "bad_entry"
    NO_IMAGE = "no_image"
    OUTSIDE_IMAGE = "outside_image"
    CROWD = "crowd"


@dataclass(frozen=True)
class LabelReject:
    """A label that was left out.

    Attributes:
        source: the file it comes from.
        number: its feature id in that file.
    """

    source: str
    number: int
    reason: LabelRefusal
    detail: str

    @property
    def key(self) -> str:
        """File name and number."""
        return f"{PurePosixPath(self.source).name}#{self.number}"
