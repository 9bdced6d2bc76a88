"""Interface of the work that a run sends to its workers, whatever they write."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from components.ingest.files.layout import ShardRange
from components.ingest.pool import Writer, in_processes, process_count
from components.ingest.records.summary import IngestSummary
from pipelines.prediction.output import PredictionPaths

#: Modules whose import takes most of a process's start: the model's, with TensorFlow.
_LIBRARIES = ("serving.server.pushed", "pipelines.prediction.shard")


class PredictionJob(Protocol):
    """Work on a block of the listing: hashable, and sent to every worker."""

    @property
    def paths(self) -> PredictionPaths:
        """Paths of the output."""
        ...

    def load(self, *, one_thread: bool = False) -> Any:
        """Loads the model, which threads may share.

        `one_thread` limits it to one core, where several processes share a machine.
        """
        ...

    def writer(self, model: Any) -> Writer[IngestSummary]:
        """Returns the writer of one thread, with a model from `load`."""
        ...


def predicted(
    job: PredictionJob, blocks: Sequence[ShardRange], processes: int, load: Callable[[], Any]
) -> Iterator[IngestSummary]:
    """Predicts blocks, and yields their summaries in any order.

    Args:
        job: the work.
        blocks: blocks of the listing.
        processes: number of processes that share them; 1 uses only this one, 0 as many as help.
        load: returns the model; called only if this process predicts.
    """
    count = process_count(processes, len(blocks))
    if count > 1:
        yield from in_processes(one_thread_writer, (job,), blocks, count, _LIBRARIES)
    else:
        yield from map(job.writer(load()).write, blocks)


def one_thread_writer(job: PredictionJob) -> Writer[IngestSummary]:
    """Returns the writer of one of several processes on a machine."""
    return job.writer(job.load(one_thread=True))
