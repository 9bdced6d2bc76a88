"""Names and paths of ingest's output."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from components.ingest.records.record import Record, Records, of_columns, to_columns

LISTING_FILE = "listing.jsonl"
READ_LOG_FILE = "read.sha256"
SUMMARY_FILE = "summary.json"
LISTING_REJECTS_FILE = "rejects-listing.jsonl"

_IMAGES_A_SHARD = 2048
_FEWEST_SHARDS = 4  # so that readers have something to interleave and workers to share
_FEWEST_IMAGES = 64
_MOST_SHARDS = 1000
_HASH_BYTES = 16
#: Records of a listing that are sorted into shards without packing them: some 17 MB.
_MOST_UNPACKED = 1 << 16


@dataclass(frozen=True, slots=True)
class ShardRange:
    """The records of one shard, as a range of bytes of the listing file."""

    shard: int
    offset: int
    length: int


def shard_count(images: int, wanted: int | None) -> int:
    """Returns the number of files per split: as configured, else by the number of images."""
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


def in_writing_order(records: Records) -> Iterator[Record]:
    """Yields records in the order of writing, unpacking one at a time, for a caller that stops
    after a few of millions."""
    return (records[place] for place in _writing_order(records))


def _writing_order(records: Records) -> npt.NDArray[np.intp]:
    """Shuffles records by the hash of their keys: every shard is a fair sample of all classes.

    The order depends only on the keys, and training can read a shard from end to end.
    """
    hashes = bytearray()  # `b"".join` would hold an object for each record
    for (key,) in records.columns("key"):
        name = key.encode("utf-8", "surrogateescape")
        hashes += blake2b(name, digest_size=_HASH_BYTES).digest()
    return np.argsort(np.frombuffer(hashes, f"S{_HASH_BYTES}"))


def listing_lines(records: Records, shards: int) -> Iterator[bytes]:
    """Yields one line of JSON for each shard: columns of its records, in the order of writing."""
    order = _writing_order(records)
    bounds = [len(records) * shard // shards for shard in range(shards + 1)]
    shard_of = np.empty(len(order), np.uint16)
    for shard, (first, last) in enumerate(pairwise(bounds)):
        shard_of[order[first:last]] = shard
    kind = list[Record] if len(records) <= _MOST_UNPACKED else Records
    of_shards: list[list[Record] | Records] = [kind() for _ in range(shards)]
    add = [held.append for held in of_shards]
    for record, shard in zip(records, shard_of.tolist(), strict=True):
        add[shard](record)
    for held, (first, last) in zip(of_shards, pairwise(bounds), strict=True):
        yield _line(held, order[first:last])


def _line(records: Iterable[Record], places: npt.NDArray[np.intp]) -> bytes:
    """Serializes the records of one shard, given by their indices in the order of writing."""
    ranks = np.argsort(np.argsort(places))
    held = list(records)
    columns = to_columns([held[rank] for rank in ranks.tolist()])
    return json.dumps(columns, separators=(",", ":")).encode() + b"\n"


def blocks_of(lines: Iterable[bytes]) -> list[ShardRange]:
    """Returns each shard's range in the file that holds these lines."""
    blocks, offset = [], 0
    for shard, line in enumerate(lines):
        blocks.append(ShardRange(shard, offset, len(line)))
        offset += len(line)
    return blocks


def records_of(line: bytes) -> list[Record]:
    """Inverts `listing_lines` for one shard."""
    return list(of_columns(json.loads(line)))
