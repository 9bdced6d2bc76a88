"""Shards: from records to files; the unit of work of ingest, without a framework."""

import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from components.ingest.config import IngestConfig
from components.ingest.files import layout, storage
from components.ingest.files.encode import write_record
from components.ingest.files.layout import ShardRange
from components.ingest.pool import import_early, in_processes, process_count
from components.ingest.records.duplicates import DigestRow, DigestTable
from components.ingest.records.outcome import Converted, Ignored
from components.ingest.records.reject import Reject
from components.ingest.sources import family_of
from components.node.files import split_folder
from components.raster.example import SPLITS
from components.raster.extent import Extent, joined


@dataclass(frozen=True)
class ShardPaths:
    """Paths of the files of one run."""

    examples: str
    rejects: str
    partial: str
    shards: int

    @property
    def listing(self) -> str:
        return storage.join(self.partial, layout.LISTING_FILE)

    def read_log(self, shard: int) -> str:
        """Returns the file with the entries of the fingerprint that a finished shard reports."""
        return storage.join(self.partial, f"{shard:05d}-{layout.READ_LOG_FILE}")

    def summary(self, shard: int) -> str:
        """Returns the file with the summary of a finished shard."""
        return storage.join(self.partial, f"{shard:05d}-{layout.SUMMARY_FILE}")

    def split_folder(self, split: str) -> str:
        return split_folder(storage.join(self.examples), split)


@dataclass(frozen=True)
class WrittenShard:
    """A shard under its temporary name: its path and its content."""

    block: ShardRange
    folder: str
    table: DigestTable
    rejects: tuple[Reject, ...]
    ignored: Mapping[str, int] = field(default_factory=dict)
    extent: Extent | None = None

    def path(self, split: str) -> str:
        return partial_path(self.folder, split)

    @property
    def read_log(self) -> str:
        return storage.join(self.folder, layout.READ_LOG_FILE)


def partial_path(folder: str, split: str) -> str:
    """Returns the file of a split in the folder of one attempt at a shard."""
    return storage.join(folder, f"{split}.tfrecord")


def read_line(paths: ShardPaths, block: ShardRange) -> bytes:
    """Reads a shard's line from its range of the listing."""
    return storage.read_range(paths.listing, block.offset, block.length)


class ShardWriter:
    """Writes shards, each attempt under a unique name.

    Args:
        config_json: the IngestConfig, in a form for the workers of any runner.
        classes: class names in the order of their indices.
        paths: of the listing and the output.
    """

    def __init__(self, config_json: str, classes: tuple[str, ...], paths: ShardPaths) -> None:
        self._paths = paths
        config = IngestConfig.model_validate_json(config_json)
        self._convert = family_of(config.source).converter(config, classes)

    def write(self, block: ShardRange) -> WrittenShard:
        """Reads the block's records and images, and writes one file per split."""
        folder = storage.join(self._paths.partial, f"{block.shard:05d}-{uuid.uuid4().hex}")
        storage.make_folder(folder)
        rows: list[DigestRow] = []
        rejects = []
        ignored: Counter[str] = Counter()
        extent: Extent | None = None
        digests = bytearray()
        with ExitStack() as stack:
            files = {
                split: stack.enter_context(storage.create(partial_path(folder, split)))
                for split in SPLITS
            }
            for outcome in self._convert(read_line(self._paths, block), digests.extend):
                if isinstance(outcome, Converted):
                    write_record(files[outcome.split], outcome.example)
                    record = outcome.record
                    if outcome.lonlat is not None:
                        extent = joined((extent, Extent.of(outcome.lonlat)))
                    rows.append(DigestRow(record.key, outcome.digest, outcome.split, outcome.names))
                elif isinstance(outcome, Ignored):
                    ignored[outcome.what] += 1
                else:
                    rejects.append(outcome)
        table = DigestTable.of(block.shard, rows)
        written = WrittenShard(block, folder, table, tuple(rejects), dict(ignored), extent)
        storage.write(written.read_log, bytes(digests))
        return written


def import_libraries_early(config: IngestConfig, shards: int, processes: int) -> None:
    """Starts the imports for the processes of `written_shards`, if there will be any.

    They take as long as writing several shards; the work is prepared meanwhile.
    """
    if process_count(processes, shards) > 1:
        import_early(_libraries_of(config))


def written_shards(
    config_json: str,
    classes: tuple[str, ...],
    paths: ShardPaths,
    blocks: Sequence[ShardRange],
    processes: int,
) -> Iterator[WrittenShard]:
    """Writes shards in processes of this machine, in any order.

    Args:
        config_json: as in `ShardWriter`.
        classes: as in `ShardWriter`.
        paths: as in `ShardWriter`.
        blocks: the shards.
        processes: number of processes; 1: this process only, 0: as many as are useful.
    """
    count = process_count(processes, len(blocks))
    if count > 1:
        libraries = _libraries_of(IngestConfig.model_validate_json(config_json))
        arguments = (config_json, classes, paths)
        yield from in_processes(ShardWriter, arguments, blocks, count, libraries)
    else:
        yield from map(ShardWriter(config_json, classes, paths).write, blocks)


def _libraries_of(config: IngestConfig) -> tuple[str, ...]:
    return ShardWriter.__module__, type(family_of(config.source)).__module__, "cv2"
