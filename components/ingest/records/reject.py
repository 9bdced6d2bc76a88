"""Rejected items: location, reason and exact fault."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from components.raster.labels.rejects import LabelReject
from components.raster.masking import masked_tree
from components.raster.reasons import Reason

_LONGEST_DETAIL = 400


@dataclass(frozen=True, slots=True)
class Reject:
    """One refused item.

    Attributes:
        key: path below the source's root, `/` between parts.
        uri: location of the item.
        reason: the code to count by.
        detail: the fault of this item, for people.
    """

    key: str
    uri: str
    reason: Reason
    detail: str

    def to_json(self) -> str:
        """Serializes one line of `rejects-*.jsonl`, without the line's end."""
        return json.dumps(masked_tree(asdict(self) | {"detail": self.detail[:_LONGEST_DETAIL]}))

    @classmethod
    def from_json(cls, line: str) -> "Reject":
        """Inverts `to_json`."""
        fields = json.loads(line)
        return cls(fields["key"], fields["uri"], Reason(fields["reason"]), fields["detail"])


def reject_lines(rejects: Iterable[Reject]) -> bytes:
    """Serializes the content of a file of rejects."""
    return b"".join(reject.to_json().encode() + b"\n" for reject in rejects)


def reject_of_label(reject: LabelReject) -> Reject:
    """Converts a label that was left out to a reject."""
    return Reject(reject.key, reject.source, reject.reason, reject.detail)


def in_words(rejects: Sequence[Reject]) -> str:
    """Returns the number of rejects and the detail of the first with the most common reason."""
    if not rejects:
        return "0 rejects"
    ((commonest, _),) = Counter(reject.reason for reject in rejects).most_common(1)
    first = next(reject for reject in rejects if reject.reason is commonest)
    return f"{len(rejects)} rejects (such as {first.key}: {first.detail.rstrip('.')})"
