"""Predictions on Beam: an element is a whole shard, and a worker process loads the model once."""

from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam.transforms.window import GlobalWindows
from apache_beam.utils.shared import Shared
from apache_beam.utils.windowed_value import WindowedValue

from components.ingest.files import storage
from components.ingest.files.layout import SUMMARY_FILE, ShardRange
from components.ingest.pool import Writer
from components.ingest.records.summary import IngestSummary, total
from components.ingest.transforms import processes_of
from pipelines.prediction.job import PredictionJob, predicted
from pipelines.prediction.output import PredictionPaths


class PredictShards(beam.DoFn):
    """ShardRange -> IngestSummary, and the shard's predictions and rejects in files."""

    def __init__(self, job: PredictionJob, processes: int) -> None:
        self._job = job
        self._processes = processes
        self._shared = Shared()

    def setup(self) -> None:
        self._own: Writer[IngestSummary] | None = None

    def start_bundle(self) -> None:
        self._waiting: list[ShardRange] = []

    def process(self, block: ShardRange) -> Iterator[IngestSummary]:
        if self._processes == 1:
            if self._own is None:
                self._own = self._job.writer(self._model())
            yield self._own.write(block)
        else:
            self._waiting.append(block)

    def finish_bundle(self) -> Iterator[WindowedValue]:
        if self._waiting:
            for summary in predicted(self._job, self._waiting, self._processes, self._model):
                yield GlobalWindows.windowed_value(summary)

    def _model(self) -> Any:
        return self._shared.acquire(self._job.load)


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


class WriteTotal(beam.DoFn):
    """IngestSummary -> a file in the state's folder."""

    def __init__(self, paths: PredictionPaths) -> None:
        self._path = total_path(paths)

    def process(self, summary: IngestSummary) -> None:
        storage.write(self._path, summary.to_json().encode())


def total_path(paths: PredictionPaths) -> str:
    """Returns the file in which Beam leaves the sum of all shards."""
    return storage.join(paths.state, SUMMARY_FILE)


class PredictAll(beam.PTransform):
    """Blocks -> predictions and rejects in files, and the sum of their summaries in one."""

    def __init__(self, job: PredictionJob) -> None:
        super().__init__()
        self._job = job

    def expand(self, blocks: beam.PCollection) -> beam.PCollection:
        processes = processes_of(blocks.pipeline)
        return (
            blocks
            | beam.ParDo(PredictShards(self._job, processes))
            | beam.CombineGlobally(TotalSummary())
            | beam.ParDo(WriteTotal(self._job.paths))
        )
