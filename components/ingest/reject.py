"""Items that ingest refused: where, why, and what exactly was wrong."""

import json
from dataclasses import asdict, dataclass
from enum import StrEnum

from components.raster.image import Refusal

_LONGEST_DETAIL = 400


class Reason(StrEnum):
    """Why an item became a reject. The first five are the decoder's own refusals."""

    UNSUPPORTED_FORMAT = Refusal.UNSUPPORTED_FORMAT.value
    TOO_MANY_BYTES = Refusal.TOO_MANY_BYTES.value
    TOO_MANY_PIXELS = Refusal.TOO_MANY_PIXELS.value
    TOO_MUCH_WORK = Refusal.TOO_MUCH_WORK.value
    CORRUPT = Refusal.CORRUPT.value
    MISSING_FILE = "missing_file"
    UNREADABLE = "unreadable"
    NO_LABEL = "no_label"
    UNKNOWN_LABEL = "unknown_label"
    UNKNOWN_SPLIT = "unknown_split"
    BAD_ROW = "bad_row"
    DUPLICATE_KEY = "duplicate_key"
    DUPLICATE_ACROSS_SPLITS = "duplicate_across_splits"
    CONFLICTING_LABEL = "conflicting_label"


@dataclass(frozen=True, slots=True)
class Reject:
    """One refused item.

    Attributes:
        key: path below the source's root, `/` between parts.
        uri: where the item lies.
        reason: the code to count by.
        detail: what was wrong with this very item, for a person to read.
    """

    key: str
    uri: str
    reason: Reason
    detail: str

    def to_json(self) -> str:
        """One line of `rejects-*.jsonl`, without the line's end."""
        return json.dumps(asdict(self) | {"detail": self.detail[:_LONGEST_DETAIL]})

    @classmethod
    def from_json(cls, line: str) -> "Reject":
        """The inverse of `to_json`."""
        fields = json.loads(line)
        return cls(fields["key"], fields["uri"], Reason(fields["reason"]), fields["detail"])
