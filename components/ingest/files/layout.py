"""Names and paths of ingest's output."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice, pairwise
from typing import Any

import numpy as np

from components.ingest.records.record import Record, Records
from components.raster.packed import in_order

LISTING_FILE = "listing.jsonl"
READ_LOG_FILE = "read.json"
SUMMARY_FILE = "summary.json"
LISTING_REJECTS_FILE = "rejects-listing.jsonl"

_IMAGES_A_SHARD = 2048
_FEWEST_SHARDS = 4  # so that readers have something to interleave and workers to share
_FEWEST_IMAGES = 64
_MOST_SHARDS = 1000

#: Fields of a class folder's record beyond key, place and label.
_NO_MORE = Record("", "")[3:]


@dataclass(frozen=True, slots=True)
class ShardRange:
    """The records of one shard, as a range of bytes of the listing file."""

    shard: int
    offset: int
    length: int


def shard_count(images: int, wanted: int | None) -> int:
    """Returns the files per split: as configured, else by the number of images, not workers."""
    if wanted is not None:
        return min(wanted, images)
    fewest = min(_FEWEST_SHARDS, -(-images // _FEWEST_IMAGES))
    return min(max(fewest, -(-images // _IMAGES_A_SHARD)), _MOST_SHARDS)


def shard_name(shard: int, shards: int) -> str:
    """Returns the file name of a shard in its split's folder."""
    return f"data-{shard:05d}-of-{shards:05d}.tfrecord"


def rejects_name(shard: int, shards: int) -> str:
    """Returns the file name of a shard's rejects."""
    return f"rejects-{shard:05d}-of-{shards:05d}.jsonl"


def in_writing_order(records: Iterable[Record]) -> Iterator[Record]:
    """Shuffles records by the hash of their keys: every shard is a fair sample of all classes.

    The order depends on the keys alone, and training can read a shard from end to end.
    """
    return in_order(records, _mixed, Records)


def few_in_writing_order(records: Sequence[Record]) -> Iterator[Record]:
    """Yields records as `in_writing_order` does, for a caller that stops after a few of millions:
    only those are unpacked a second time."""
    joined = bytearray()  # `b"".join` would hold an object for each
    for record in records:
        joined += _mixed(record)
    hashes = np.frombuffer(joined, ">u8").reshape(-1, 2)
    return (records[place] for place in np.lexsort((hashes[:, 1], hashes[:, 0])))


def _mixed(record: Record) -> bytes:
    return blake2b(record.key.encode("utf-8", "surrogateescape"), digest_size=16).digest()


def listing_lines(records: Sequence[Record], shards: int) -> Iterator[bytes]:
    """Yields one line of JSON for each shard: its records, in the order of writing."""
    mixed = in_writing_order(records)
    bounds = [len(records) * shard // shards for shard in range(shards + 1)]
    for first, last in pairwise(bounds):
        rows = [_to_row(record) for record in islice(mixed, last - first)]
        yield json.dumps(rows, separators=(",", ":")).encode() + b"\n"


def blocks_of(lines: Iterable[bytes]) -> list[ShardRange]:
    """Returns each shard's range in the file of these lines."""
    blocks, offset = [], 0
    for shard, line in enumerate(lines):
        blocks.append(ShardRange(shard, offset, len(line)))
        offset += len(line)
    return blocks


def records_of(line: bytes) -> list[Record]:
    """Inverts `listing_lines` for one shard."""
    return [_from_row(row) for row in json.loads(line)]


def _to_row(record: Record) -> list[Any]:
    if record[3:] == _NO_MORE:
        return list(record[:3])
    return list(record._replace(slices=dict(record.slices)))


def _from_row(row: list[Any]) -> Record:
    record = Record(*row)
    return record if record.labels is None else record._replace(labels=tuple(record.labels))
