"""Ingest on Beam: an element is a whole shard, so that Beam's cost by element does not count.

    blocks -> WriteShards -> (surplus copies, once for all) -> FinishShard -> summary

A shard is written under a name of its own for each attempt and gets its final name when all
shards are known, less the copies that leak between splits: a retried bundle leaves no second copy,
and a reader never sees half a file.
"""

from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import IO

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.transforms.window import GlobalWindows
from apache_beam.utils.windowed_value import WindowedValue

from components.ingest.config import IngestConfig
from components.ingest.files import layout, storage
from components.ingest.files.layout import ShardRange
from components.ingest.pool import import_early, in_processes, process_count
from components.ingest.records.duplicates import Copy, DigestTable, surplus_copies
from components.ingest.records.reject import Reject, reject_lines
from components.ingest.records.summary import IngestSummary, total
from components.ingest.shard import ShardPaths, ShardWriter, WrittenShard, read_line
from components.ingest.sources import family_of
from components.raster.example import SPLITS


class IngestOptions(PipelineOptions):
    """`--ingest_processes=N`: number of processes that share a Beam worker's shards.

    With 0 it is as many as the machine has cores and there is work for.
    """

    @classmethod
    def _add_argparse_args(cls, parser: ArgumentParser) -> None:
        parser.add_argument("--ingest_processes", type=int, default=1)


def import_libraries_early(pipeline: beam.Pipeline, config: IngestConfig, shards: int) -> None:
    """Begins the imports of the processes that `IngestShards` will start, if it will start any.

    They take as long as the writing of some shards, and meanwhile the pipeline is made.
    """
    wanted = pipeline.options.view_as(IngestOptions).ingest_processes
    if process_count(wanted, shards) > 1:
        import_early(_libraries_of(config))


def _libraries_of(config: IngestConfig) -> tuple[str, ...]:
    return ShardWriter.__module__, type(family_of(config.source)).__module__, "cv2"


class WriteShards(beam.DoFn):
    """ShardRange -> WrittenShard; with several processes, a bundle of them at a time."""

    def __init__(
        self, config_json: str, classes: tuple[str, ...], paths: ShardPaths, processes: int
    ) -> None:
        self._config_json = config_json
        self._classes = classes
        self._paths = paths
        self._processes = processes

    def setup(self) -> None:
        self._writer = ShardWriter(self._config_json, self._classes, self._paths)

    def start_bundle(self) -> None:
        self._waiting: list[ShardRange] = []

    def process(self, block: ShardRange) -> Iterator[WrittenShard]:
        if self._processes == 1:
            yield self._writer.write(block)
        else:
            self._waiting.append(block)

    def finish_bundle(self) -> Iterator[WindowedValue]:
        processes = process_count(self._processes, len(self._waiting))
        if processes > 1:
            arguments = (self._config_json, self._classes, self._paths)
            libraries = _libraries_of(IngestConfig.model_validate_json(self._config_json))
            shards = in_processes(ShardWriter, arguments, self._waiting, processes, libraries)
        else:
            shards = map(self._writer.write, self._waiting)
        for written in shards:
            yield GlobalWindows.windowed_value(written)


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
    """WrittenShard -> IngestSummary, and the shard under its final name, without surplus copies."""

    def __init__(self, config_json: str, paths: ShardPaths) -> None:
        self._config_json = config_json
        self._paths = paths

    def setup(self) -> None:
        self._family = family_of(IngestConfig.model_validate_json(self._config_json).source)

    def process(
        self, written: WrittenShard, surplus: Mapping[int, tuple[Copy, ...]]
    ) -> Iterator[IngestSummary]:
        copies = {copy.position: copy for copy in surplus.get(written.table.shard, ())}
        for code, split in enumerate(SPLITS):
            own = [place for place, it in enumerate(written.table.splits) if it == code]
            drop = {index for index, place in enumerate(own) if place in copies}
            self._publish(written, split, drop)
        rejects = [*written.rejects, *self._rejected_copies(written, copies)]
        self._write_rejects(written, rejects)
        storage.publish(written.read_log, self._paths.read_log(written.block.shard))
        yield _summary(written, copies, rejects)

    def _rejected_copies(
        self, written: WrittenShard, copies: Mapping[int, Copy]
    ) -> Iterator[Reject]:
        if copies:
            uri_of = self._family.uri_of_keys(read_line(self._paths, written.block))
        for position, copy in copies.items():
            key = written.table.key(position)
            yield Reject(key, uri_of(key), copy.reason, copy.detail)

    def _publish(self, written: WrittenShard, split: str, drop: set[int]) -> None:
        source = written.path(split)
        name = layout.shard_name(written.block.shard, self._paths.shards)
        if drop:
            source = _without(source, drop)
        storage.publish(source, storage.join(self._paths.split_folder(split), name))

    def _write_rejects(self, written: WrittenShard, rejects: list[Reject]) -> None:
        name = layout.rejects_name(written.block.shard, self._paths.shards)
        source = storage.join(written.folder, name)
        storage.write(source, reject_lines(rejects))
        storage.publish(source, storage.join(self._paths.rejects, name))


class TotalSummary(beam.CombineFn):
    """Summaries -> their sum."""

    def create_accumulator(self) -> IngestSummary:
        return total(())

    def add_input(self, accumulator: IngestSummary, element: IngestSummary) -> IngestSummary:
        return total((accumulator, element))

    def merge_accumulators(self, accumulators: Iterable[IngestSummary]) -> IngestSummary:
        return total(accumulators)

    def extract_output(self, accumulator: IngestSummary) -> IngestSummary:
        return accumulator


class WriteSummary(beam.DoFn):
    """IngestSummary -> the file `summary.json`."""

    def __init__(self, paths: ShardPaths) -> None:
        self._path = storage.join(paths.rejects, layout.SUMMARY_FILE)

    def process(self, summary: IngestSummary) -> None:
        storage.write(self._path, summary.to_json().encode())


class IngestShards(beam.PTransform):
    """Blocks -> examples, rejects and their summary in files."""

    def __init__(self, config: IngestConfig, classes: tuple[str, ...], paths: ShardPaths) -> None:
        super().__init__()
        self._config_json = config.model_dump_json()
        self._classes = classes
        self._paths = paths

    def expand(self, blocks: beam.PCollection) -> beam.PCollection:
        processes = blocks.pipeline.options.view_as(IngestOptions).ingest_processes
        written = blocks | beam.ParDo(
            WriteShards(self._config_json, self._classes, self._paths, processes)
        )
        surplus = (
            written | beam.Map(_table) | beam.CombineGlobally(SurplusCopies()).without_defaults()
        )
        finished = written | beam.ParDo(
            FinishShard(self._config_json, self._paths), surplus=beam.pvalue.AsSingleton(surplus)
        )
        return (
            finished
            | beam.CombineGlobally(TotalSummary()).without_defaults()
            | beam.ParDo(WriteSummary(self._paths))
        )


def _without(path: str, drop: set[int]) -> str:
    """Copies a file of TFRecords without those at the positions in `drop`; returns its path."""
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


def _table(written: WrittenShard) -> DigestTable:
    return written.table


def _summary(
    written: WrittenShard, copies: Mapping[int, Copy], rejects: Iterable[Reject]
) -> IngestSummary:
    table = written.table
    kept = Counter(zip(table.splits, table.labels, strict=True))
    kept.subtract((table.splits[place], table.labels[place]) for place in copies)
    examples: dict[str, Counter[str]] = {split: Counter() for split in SPLITS}
    images: Counter[str] = Counter()
    for (code, label), count in kept.items():
        examples[SPLITS[code]].update(dict.fromkeys(table.combinations[label], count))
        images[SPLITS[code]] += count
    reasons = Counter(reject.reason.value for reject in rejects)
    return IngestSummary(examples, images, reasons, written.ignored, extent=written.extent)
