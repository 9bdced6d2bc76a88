"""Predictions on Beam: an element is a whole shard, and a worker process loads the model once."""

from collections.abc import Iterator

import apache_beam as beam
from apache_beam.transforms.window import GlobalWindows
from apache_beam.utils.shared import Shared
from apache_beam.utils.windowed_value import WindowedValue

from components.ingest.files import storage
from components.ingest.files.layout import SUMMARY_FILE, ShardRange
from components.ingest.pool import Writer, in_processes, process_count
from components.ingest.records.summary import IngestSummary
from components.ingest.transforms import IngestOptions, TotalSummary
from pipelines.prediction.job import PredictionJob, one_thread_writer
from pipelines.prediction.output import PredictionPaths

#: Modules whose import takes most of the start of a process: the model's, with TensorFlow.
_LIBRARIES = ("serving.server.pushed", "pipelines.prediction.shard")


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
            yield self._writer().write(block)
        else:
            self._waiting.append(block)

    def finish_bundle(self) -> Iterator[WindowedValue]:
        processes = process_count(self._processes, len(self._waiting))
        if processes > 1:
            summaries = in_processes(
                one_thread_writer, (self._job,), self._waiting, processes, _LIBRARIES
            )
        else:
            summaries = map(self._write, self._waiting)
        for summary in summaries:
            yield GlobalWindows.windowed_value(summary)

    def _write(self, block: ShardRange) -> IngestSummary:
        return self._writer().write(block)

    def _writer(self) -> Writer[IngestSummary]:
        if self._own is None:
            self._own = self._job.writer(self._shared.acquire(self._job.load))
        return self._own


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
        processes = blocks.pipeline.options.view_as(IngestOptions).ingest_processes
        return (
            blocks
            | beam.ParDo(PredictShards(self._job, processes))
            | beam.CombineGlobally(TotalSummary())
            | beam.ParDo(WriteTotal(self._job.paths))
        )
