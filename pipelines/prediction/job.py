"""The work of a run as workers get it, whatever they write."""

from typing import Protocol

from components.ingest.pool import Writer
from components.ingest.records.summary import Summary
from pipelines.prediction.output import OutputPaths


class Job(Protocol):
    """What a worker does with a block of the listing: hashable, and sent to every worker."""

    @property
    def paths(self) -> OutputPaths:
        """Where the output goes."""
        ...

    def writer(self, *, one_thread: bool = False) -> Writer[Summary]:
        """Loads the model; with one thread where several processes share a machine."""
        ...


def one_thread_writer(job: Job) -> Writer[Summary]:
    """Returns the writer of one of several processes on a machine."""
    return job.writer(one_thread=True)
