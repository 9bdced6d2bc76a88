"""Ingest on Beam: an element is a whole shard, so that Beam's cost by element does not count.

    blocks -> WriteShard -> (surplus copies, once for all) -> FinishShard -> summary

A shard is written under a name of its own for each attempt and gets its final name when all
shards are known, less the copies that leak between splits: a retried bundle leaves no second copy,
and a reader never sees half a file.
"""

import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import IO

import apache_beam as beam

from components.ingest import layout, storage
from components.ingest.config import IngestConfig
from components.ingest.convert import Converted, Converter
from components.ingest.duplicates import Copy, DigestTable, surplus_copies
from components.ingest.encode import record_bytes
from components.ingest.layout import Block
from components.ingest.record import Record
from components.ingest.reject import Reject
from components.ingest.summary import Summary, total
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
    """One shard before it has its final name: where it lies and what it holds, in its order."""

    shard: int
    folder: str
    records: tuple[Record, ...]
    splits: tuple[str, ...]
    digests: bytes
    rejects: tuple[Reject, ...]

    def table(self) -> DigestTable:
        keys = tuple(record.key for record in self.records)
        labels = tuple(record.names for record in self.records)
        return DigestTable(self.shard, self.digests, keys, self.splits, labels)


class WriteShard(beam.DoFn):
    """Block -> WrittenShard."""

    def __init__(self, config_json: str, classes: tuple[str, ...], places: Places) -> None:
        self._config_json = config_json
        self._classes = classes
        self._places = places

    def setup(self) -> None:
        config = IngestConfig.model_validate_json(self._config_json)
        self._converter = Converter(config, self._classes)

    def process(self, block: Block) -> Iterator[WrittenShard]:
        line = storage.read_range(self._places.listing, block.offset, block.length)
        folder = storage.join(self._places.partial, f"{block.shard:05d}-{uuid.uuid4().hex}")
        records, splits, digests = [], [], []
        rejects = []
        with ExitStack() as stack:
            files = {
                split: stack.enter_context(storage.create(_partial(folder, split)))
                for split in SPLITS
            }
            for outcome in self._converter.convert(layout.records_of(line)):
                if isinstance(outcome, Converted):
                    files[outcome.split].write(record_bytes(outcome.example))
                    records.append(outcome.record)
                    splits.append(outcome.split)
                    digests.append(outcome.digest)
                else:
                    rejects.append(outcome)
        yield WrittenShard(
            block.shard, folder, tuple(records), tuple(splits), b"".join(digests), tuple(rejects)
        )


class SurplusCopies(beam.CombineFn):
    """DigestTables -> the copies to reject, by shard."""

    def create_accumulator(self) -> list[DigestTable]:
        return []

    def add_input(self, accumulator: list[DigestTable], element: DigestTable) -> list[DigestTable]:
        return [*accumulator, element]

    def merge_accumulators(self, accumulators: Iterable[list[DigestTable]]) -> list[DigestTable]:
        return [table for accumulator in accumulators for table in accumulator]

    def extract_output(self, accumulator: list[DigestTable]) -> dict[int, tuple[Copy, ...]]:
        return surplus_copies(accumulator)


class FinishShard(beam.DoFn):
    """WrittenShard -> Summary, and the shard under its final name without its surplus copies."""

    def __init__(self, places: Places) -> None:
        self._places = places

    def process(
        self, written: WrittenShard, surplus: Mapping[int, tuple[Copy, ...]]
    ) -> Iterator[Summary]:
        copies = {copy.position: copy for copy in surplus.get(written.shard, ())}
        for split in SPLITS:
            own = [place for place, it in enumerate(written.splits) if it == split]
            drop = {index for index, place in enumerate(own) if place in copies}
            self._publish(written, split, drop)
        rejects = [*written.rejects, *_rejects(written, copies.values())]
        self._write_rejects(written, rejects)
        yield _summary(written, copies, rejects)

    def _publish(self, written: WrittenShard, split: str, drop: set[int]) -> None:
        source = _partial(written.folder, split)
        name = layout.shard_name(written.shard, self._places.shards)
        if drop:
            source = _without(source, drop)
        storage.publish(source, storage.join(self._places.split_folder(split), name))

    def _write_rejects(self, written: WrittenShard, rejects: list[Reject]) -> None:
        name = layout.rejects_name(written.shard, self._places.shards)
        source = storage.join(written.folder, name)
        storage.write(source, reject_lines(rejects))
        storage.publish(source, storage.join(self._places.rejects, name))


class TotalSummary(beam.CombineFn):
    """Summaries -> their sum."""

    def create_accumulator(self) -> Summary:
        return total(())

    def add_input(self, accumulator: Summary, element: Summary) -> Summary:
        return total((accumulator, element))

    def merge_accumulators(self, accumulators: Iterable[Summary]) -> Summary:
        return total(accumulators)

    def extract_output(self, accumulator: Summary) -> Summary:
        return accumulator


class WriteSummary(beam.DoFn):
    """Summary -> the file `summary.json`."""

    def __init__(self, places: Places) -> None:
        self._path = storage.join(places.rejects, layout.SUMMARY_FILE)

    def process(self, summary: Summary) -> None:
        storage.write(self._path, summary.to_json().encode())


class IngestShards(beam.PTransform):
    """Blocks -> examples, rejects and their summary in files."""

    def __init__(self, config: IngestConfig, classes: tuple[str, ...], places: Places) -> None:
        super().__init__()
        self._config_json = config.model_dump_json()
        self._classes = classes
        self._places = places

    def expand(self, blocks: beam.PCollection) -> beam.PCollection:
        written = blocks | beam.ParDo(WriteShard(self._config_json, self._classes, self._places))
        surplus = written | beam.Map(WrittenShard.table) | beam.CombineGlobally(SurplusCopies())
        finished = written | beam.ParDo(
            FinishShard(self._places), surplus=beam.pvalue.AsSingleton(surplus)
        )
        return (
            finished | beam.CombineGlobally(TotalSummary()) | beam.ParDo(WriteSummary(self._places))
        )


def reject_lines(rejects: Iterable[Reject]) -> bytes:
    """The content of a file of rejects."""
    return b"".join(reject.to_json().encode() + b"\n" for reject in rejects)


def _partial(folder: str, split: str) -> str:
    return storage.join(folder, f"{split}.tfrecord")


def _without(path: str, drop: set[int]) -> str:
    """A copy of a file of TFRecords less those at the positions in `drop`; gives its path."""
    kept = path + ".kept"
    with storage.create(kept) as target:
        _copy_records(storage.read(path), target, drop)
    return kept


def _copy_records(data: bytes, target: IO[bytes], drop: set[int]) -> None:
    offset = position = 0
    while offset < len(data):
        size = int.from_bytes(data[offset : offset + 8], "little") + 16
        if position not in drop:
            target.write(data[offset : offset + size])
        offset += size
        position += 1


def _rejects(written: WrittenShard, copies: Iterable[Copy]) -> Iterator[Reject]:
    for copy in copies:
        record = written.records[copy.position]
        yield Reject(record.key, record.uri, copy.reason, copy.detail)


def _summary(
    written: WrittenShard, copies: Mapping[int, Copy], rejects: Iterable[Reject]
) -> Summary:
    examples: dict[str, Counter[str]] = {split: Counter() for split in SPLITS}
    images: Counter[str] = Counter()
    for position, (record, split) in enumerate(zip(written.records, written.splits, strict=True)):
        if position not in copies:
            examples[split].update(set(record.names))
            images[split] += 1
    reasons = Counter(reject.reason.value for reject in rejects)
    return Summary(examples, images, reasons)
