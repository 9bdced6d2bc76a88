"""Ingest on Beam: an element is a whole shard, so Beam's cost per element is negligible.

    blocks -> WriteShards -> (surplus copies, once for all) -> FinishShard

Each attempt writes a shard under a unique name. It gets its final name when all shards are known,
without the copies that leak between splits: a retried bundle leaves no second copy, and a reader
never sees half a file.
"""

from argparse import ArgumentParser
from collections.abc import Iterable, Iterator, Mapping

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.transforms.window import GlobalWindows
from apache_beam.utils.windowed_value import WindowedValue

from components.ingest.files.layout import ShardRange
from components.ingest.finish import ShardFinisher
from components.ingest.records.duplicates import Copy, DigestTable, surplus_copies
from components.ingest.shard import ShardPaths, ShardWriter, WrittenShard, written_shards


class IngestOptions(PipelineOptions):
    """`--ingest_processes=N`: number of processes that share a Beam worker's shards.

    0 means as many as the machine has cores and there is work for.
    """

    @classmethod
    def _add_argparse_args(cls, parser: ArgumentParser) -> None:
        parser.add_argument("--ingest_processes", type=int, default=1)


def processes_of(pipeline: beam.Pipeline) -> int:
    """Returns the number of processes in a pipeline's `IngestOptions`."""
    wanted: int = pipeline.options.view_as(IngestOptions).ingest_processes
    return wanted


class WriteShards(beam.DoFn):
    """ShardRange -> WrittenShard; with several processes, a bundle at a time."""

    def __init__(
        self, config_json: str, classes: tuple[str, ...], paths: ShardPaths, processes: int
    ) -> None:
        self._of_run = config_json, classes, paths
        self._processes = processes

    def setup(self) -> None:
        self._writer = ShardWriter(*self._of_run)

    def start_bundle(self) -> None:
        self._waiting: list[ShardRange] = []

    def process(self, block: ShardRange) -> Iterator[WrittenShard]:
        if self._processes == 1:
            yield self._writer.write(block)
        else:
            self._waiting.append(block)

    def finish_bundle(self) -> Iterator[WindowedValue]:
        if self._waiting:
            for written in written_shards(*self._of_run, self._waiting, self._processes):
                yield GlobalWindows.windowed_value(written)


class SurplusCopies(beam.CombineFn):
    """WrittenShards -> the copies to reject, by shard."""

    def create_accumulator(self) -> list[DigestTable]:
        return []

    def add_input(self, accumulator: list[DigestTable], element: WrittenShard) -> list[DigestTable]:
        return [*accumulator, element.table]

    def merge_accumulators(self, accumulators: Iterable[list[DigestTable]]) -> list[DigestTable]:
        return [table for accumulator in accumulators for table in accumulator]

    def extract_output(self, accumulator: list[DigestTable]) -> dict[int, tuple[Copy, ...]]:
        return surplus_copies(accumulator)


class FinishShard(beam.DoFn):
    """WrittenShard -> the shard under its final name, without surplus copies, and its summary."""

    def __init__(self, config_json: str, paths: ShardPaths) -> None:
        self._of_run = config_json, paths

    def setup(self) -> None:
        self._finisher = ShardFinisher(*self._of_run)

    def process(self, written: WrittenShard, surplus: Mapping[int, tuple[Copy, ...]]) -> None:
        self._finisher.finish(written, surplus.get(written.table.shard, ()))


class IngestShards(beam.PTransform):
    """Blocks -> examples, rejects and their summaries in files."""

    def __init__(self, config_json: str, classes: tuple[str, ...], paths: ShardPaths) -> None:
        super().__init__()
        self._config_json = config_json
        self._classes = classes
        self._paths = paths

    def expand(self, blocks: beam.PCollection) -> beam.PCollection:
        processes = processes_of(blocks.pipeline)
        written = blocks | beam.ParDo(
            WriteShards(self._config_json, self._classes, self._paths, processes)
        )
        surplus = written | beam.CombineGlobally(SurplusCopies()).without_defaults()
        return written | beam.ParDo(
            FinishShard(self._config_json, self._paths), surplus=beam.pvalue.AsSingleton(surplus)
        )
