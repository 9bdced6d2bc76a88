"""One shard from its records to its files: the unit of work of ingest, without any framework."""

import uuid
from contextlib import ExitStack
from dataclasses import dataclass

from components.ingest import layout, storage
from components.ingest.config import IngestConfig
from components.ingest.convert import Converted, Converter
from components.ingest.duplicates import DigestRow, DigestTable
from components.ingest.encode import record_bytes
from components.ingest.layout import Block
from components.ingest.record import Record
from components.ingest.reject import Reject
from components.raster.example import SPLITS


@dataclass(frozen=True)
class Places:
    """Where the files of one run go."""

    examples: str
    rejects: str
    partial: str
    shards: int

    @property
    def listing(self) -> str:
        return storage.join(self.partial, layout.LISTING_FILE)

    def split_folder(self, split: str) -> str:
        return storage.join(self.examples, f"Split-{split}")


@dataclass(frozen=True)
class WrittenShard:
    """One shard before it has its final name: where it lies and what it holds."""

    block: Block
    folder: str
    table: DigestTable
    rejects: tuple[Reject, ...]

    def path(self, split: str) -> str:
        return partial_path(self.folder, split)


def partial_path(folder: str, split: str) -> str:
    """The file of a split in the folder of one attempt at a shard."""
    return storage.join(folder, f"{split}.tfrecord")


def read_records(places: Places, block: Block) -> list[Record]:
    """The records of a shard, from its range of the listing."""
    return layout.records_of(storage.read_range(places.listing, block.offset, block.length))


class ShardWriter:
    """Writes shards, each under a name of its own for every attempt.

    Args:
        config_json: the IngestConfig, as the workers of every runner can take it.
        classes: class names in the order of their indices.
        places: where to read the listing and write.
    """

    def __init__(self, config_json: str, classes: tuple[str, ...], places: Places) -> None:
        self._places = places
        self._converter = Converter(IngestConfig.model_validate_json(config_json), classes)

    def write(self, block: Block) -> WrittenShard:
        """Reads the block's records and images, and writes a file a split."""
        folder = storage.join(self._places.partial, f"{block.shard:05d}-{uuid.uuid4().hex}")
        storage.make_folder(folder)
        rows: list[DigestRow] = []
        rejects = []
        with ExitStack() as stack:
            files = {
                split: stack.enter_context(storage.create(partial_path(folder, split)))
                for split in SPLITS
            }
            for outcome in self._converter.convert(read_records(self._places, block)):
                if isinstance(outcome, Converted):
                    files[outcome.split].write(record_bytes(outcome.example))
                    record = outcome.record
                    rows.append(DigestRow(record.key, outcome.digest, outcome.split, record.names))
                else:
                    rejects.append(outcome)
        return WrittenShard(block, folder, DigestTable.of(block.shard, rows), tuple(rejects))
