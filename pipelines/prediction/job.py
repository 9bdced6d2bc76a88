"""The work of a run as workers get it, whatever they write."""

from typing import Any, Protocol

from components.ingest.pool import Writer
from components.ingest.records.summary import IngestSummary
from pipelines.prediction.output import PredictionPaths


class PredictionJob(Protocol):
    """Work on a block of the listing: hashable, and sent to every worker."""

    @property
    def paths(self) -> PredictionPaths:
        """Paths of the output."""
        ...

    def load(self, *, one_thread: bool = False) -> Any:
        """Loads the model, which threads may share; with one thread of its own where several
        processes share a machine."""
        ...

    def writer(self, model: Any) -> Writer[IngestSummary]:
        """Returns the writer of one thread, with a model from `load`."""
        ...


def one_thread_writer(job: PredictionJob) -> Writer[IngestSummary]:
    """Returns the writer of one of several processes on a machine."""
    return job.writer(job.load(one_thread=True))
