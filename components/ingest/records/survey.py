"""Survey of a source's splits: counts, classes, leaks, and the copies that ingest would reject."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import compress

import numpy as np

from components.ingest.records.duplicates import DigestRow, DigestTable, surplus_copies
from components.ingest.records.outcome import Converted
from components.ingest.records.record import Record
from components.ingest.records.reject import Reject
from components.raster.spatial.places import TileFootprints
from components.raster.spatial.report import SplitReport


@dataclass(frozen=True, eq=False)
class Survey:
    """Properties of a source's splits.

    Attributes:
        report: counts, classes, distances and leaks.
        places: of the tiles; empty for photographs.
        splits: of each tile; None for those in no split.
        rejects: items that could not be listed.
    """

    report: SplitReport
    places: TileFootprints
    splits: tuple[str | None, ...]
    rejects: tuple[Reject, ...]


def rejected_copies(
    records: Iterable[Record],
    codes: Sequence[int],
    convert: Callable[[Sequence[Record]], Iterator[Converted | Reject]],
) -> dict[str, Reject]:
    """Returns the copies that ingest would reject, by key; converts only files that occur twice.

    Args:
        records: of files on this machine.
        codes: 64-bit numbers of the files' contents, equal for equal contents.
        convert: yields the outcome of each record, in order.
    """
    values, counts = np.unique(codes, return_counts=True)
    twice = list(compress(records, np.isin(codes, values[counts > 1])))
    rows = [
        DigestRow(one.record.key, one.digest, one.split, one.names)
        for one in convert(twice)
        if isinstance(one, Converted)
    ]
    uris = {record.key: record.uri for record in twice}
    copies = surplus_copies([DigestTable.of(0, rows)]).get(0, ())
    named = [(rows[it.position].key, it) for it in copies]
    return {key: Reject(key, uris[key], it.reason, it.detail) for key, it in named}


def count_by_class(
    names: Iterable[tuple[str, ...]], splits: Iterable[str | None]
) -> dict[str, dict[str, int]]:
    """Counts the examples of each class in each split."""
    counts: dict[str, Counter[str]] = {}
    for of_tile, split in zip(names, splits, strict=True):
        for name in of_tile:
            counts.setdefault(name, Counter())
            if split is not None:
                counts[name][split] += 1
    return {name: dict(found) for name, found in sorted(counts.items())}
