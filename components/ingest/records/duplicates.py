"""Exact duplicates: detection of copies that leak between splits or have different labels."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from components.raster.example import SPLITS
from components.raster.reasons import Reason

_DIGEST_BYTES = 32


class DigestRow(NamedTuple):
    """Identity of one example; `split` is one of `SPLITS`."""

    key: str
    digest: bytes
    split: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DigestTable:
    """The rows of one shard, in order, as columns that are cheap to send between processes.

    Attributes:
        shard: the shard's number.
        keys: the source keys, separated by NUL.
        digests: 32 bytes each, shared only by copies: the sha256 of a photograph's file, or of a
            tile's pixels and location.
        splits: the split of each, as an index into `SPLITS`.
        labels: the class names of each, as an index into `combinations`.
        combinations: the sets of class names that occur.
    """

    shard: int
    keys: str
    digests: bytes
    splits: bytes
    labels: tuple[int, ...]
    combinations: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, shard: int, rows: Sequence[DigestRow]) -> "DigestTable":
        """Builds the table of `rows`."""
        keys, digests, splits, labels = zip(*rows, strict=True) if rows else ((), (), (), ())
        combinations = {names: code for code, names in enumerate(dict.fromkeys(labels))}
        return cls(
            shard,
            "\0".join(keys),
            b"".join(digests),
            bytes(map(SPLITS.index, splits)),
            tuple(map(combinations.__getitem__, labels)),
            tuple(combinations),
        )

    def __len__(self) -> int:
        return len(self.splits)

    def key(self, position: int) -> str:
        """Returns the source key of an example."""
        return self.keys.split("\0")[position]

    def split(self, position: int) -> str:
        """Returns the split of an example."""
        return SPLITS[self.splits[position]]

    def names(self, position: int) -> tuple[str, ...]:
        """Returns the class names of an example."""
        return self.combinations[self.labels[position]]


@dataclass(frozen=True, slots=True)
class Copy:
    """An example to reject: its position in its shard, and the reason."""

    position: int
    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class _Place:
    key: str
    table: int
    position: int


def surplus_copies(tables: Sequence[DigestTable]) -> dict[int, tuple[Copy, ...]]:
    """Returns the copies to reject, by shard.

    Of all with the same digest, the one with the first key is kept. A copy in another split would
    let the model be tested on its training data, and a copy with another class shows that one of
    the two is wrong: such copies are rejected. A copy that agrees with the first is kept.
    """
    surplus = defaultdict(list)
    for places in _same_content(tables):
        first, *others = sorted(places, key=lambda place: place.key)
        for other in others:
            reason = _disagreement(tables, first, other)
            if reason is not None:
                shard = tables[other.table].shard
                detail = f"a copy of {first.key}, which is kept"
                surplus[shard].append(Copy(other.position, reason, detail))
    return {shard: tuple(copies) for shard, copies in surplus.items()}


def _disagreement(tables: Sequence[DigestTable], first: _Place, other: _Place) -> Reason | None:
    one, two = tables[first.table], tables[other.table]
    if one.split(first.position) != two.split(other.position):
        return Reason.DUPLICATE_ACROSS_SPLITS
    if one.names(first.position) != two.names(other.position):
        return Reason.CONFLICTING_LABEL
    return None


def _same_content(tables: Sequence[DigestTable]) -> list[list[_Place]]:
    """Groups examples with the same digest; returns groups of two or more.

    Sorting the first eight bytes of every digest finds the few candidates without a Python object
    for each example; the whole digest then decides.
    """
    joined = b"".join(table.digests for table in tables)
    heads = np.frombuffer(joined, np.uint64)[:: _DIGEST_BYTES // 8]
    order = np.argsort(heads)
    same = heads[order[1:]] == heads[order[:-1]]
    candidates = np.union1d(order[1:][same], order[:-1][same])
    starts = np.cumsum([0] + [len(table) for table in tables])
    groups = defaultdict(list)
    for index in map(int, candidates):
        table = int(np.searchsorted(starts, index, side="right")) - 1
        position = index - int(starts[table])
        digest = joined[index * _DIGEST_BYTES : (index + 1) * _DIGEST_BYTES]
        groups[digest].append(_Place(tables[table].key(position), table, position))
    return [group for group in groups.values() if len(group) > 1]
