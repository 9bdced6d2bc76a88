"""Counters and histograms of one server, for Prometheus.

Processes that share a server's ports also share its metrics: each writes to files in the folder
named by prometheus_client's environment variable, and the process that answers a request adds them
up.
"""

import asyncio
import os
import time
from collections.abc import Callable, Collection
from functools import cache
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from serving.server.errors import Code, ServingError

#: Environment variable of the folder; set it before a process starts, since prometheus_client reads
#: it once.
MULTIPROCESS_DIR = "PROMETHEUS_MULTIPROC_DIR"

_LATENCY_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_BATCH_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class ServerMetrics:
    """Metrics of one server, in its own registry, so that several servers fit in one process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "skymill_serving_requests",
            "Requests by method, protocol and canonical status.",
            ["method", "protocol", "status"],
            registry=self._registry,
        )
        self._latency = Histogram(
            "skymill_serving_request_latency_seconds",
            "From a request's arrival in Python to its answer.",
            ["method", "protocol"],
            buckets=_LATENCY_S,
            registry=self._registry,
        )
        self._batch_rows = Histogram(
            "skymill_serving_batch_rows",
            "Rows that went through the model together.",
            buckets=_BATCH_ROWS,
            registry=self._registry,
        )
        self._queued_rows = Gauge(
            "skymill_serving_queued_rows",
            "Rows that wait.",
            registry=self._registry,
            multiprocess_mode="livesum",
        )
        self._read_queue: Callable[[], int] = lambda: 0
        self._version = Gauge(
            "skymill_serving_model_version",
            "The newest version that is served; -1 if there is none.",
            registry=self._registry,
            multiprocess_mode="livemax",
        )
        self._loaded = Gauge(
            "skymill_serving_loaded_versions",
            "Versions in memory.",
            registry=self._registry,
            multiprocess_mode="livemax",
        )
        self._failures = Counter(
            "skymill_serving_load_failures",
            "Versions that could not be loaded.",
            registry=self._registry,
        )
        self._version.set(-1)
        # Looking up a label by its values costs more than counting.
        self._count = cache(lambda m, p, status: self._requests.labels(m, p, status.name))
        self._timer = cache(self._latency.labels)

    def request(self, method: str, protocol: str) -> "_Timed":
        """Returns a context that counts and times one request; its error gives the status."""
        return _Timed(self, method, protocol)

    def request_ended(self, method: str, protocol: str, status: Code, took_s: float) -> None:
        """Counts a request."""
        self._count(method, protocol, status).inc()
        self._timer(method, protocol).observe(took_s)

    def batch_ran(self, rows: int) -> None:
        """Counts a batch that the model ran."""
        self._batch_rows.observe(rows)

    def load_failed(self) -> None:
        """Counts a failed load."""
        self._failures.inc()

    def versions(self, served: Collection[int]) -> None:
        """Sets the versions that are in memory."""
        self._version.set(max(served, default=-1))
        self._loaded.set(len(served))

    def watch_queue(self, queued_rows: Callable[[], int]) -> None:
        """Registers a callback that reads the queue's depth at each scrape."""
        self._read_queue = queued_rows

    def refresh(self) -> None:
        """Updates the gauges that are read by callback."""
        self._queued_rows.set(self._read_queue())

    def page(self) -> bytes:
        """Returns all metrics in Prometheus' text format."""
        self.refresh()
        if MULTIPROCESS_DIR not in os.environ:
            return generate_latest(self._registry)
        together = CollectorRegistry()
        MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return generate_latest(together)


class _Timed:
    """Context of one request. Generators would take several times as long to enter and leave."""

    __slots__ = ("_method", "_metrics", "_protocol", "_started")

    def __init__(self, metrics: ServerMetrics, method: str, protocol: str) -> None:
        self._metrics, self._method, self._protocol = metrics, method, protocol

    def __enter__(self) -> None:
        self._started = time.perf_counter()

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        took_s = time.perf_counter() - self._started
        self._metrics.request_ended(self._method, self._protocol, _status(error), took_s)


def _status(error: BaseException | None) -> Code:
    if error is None:
        return Code.OK
    if isinstance(error, ServingError):
        return error.code
    return Code.CANCELLED if isinstance(error, asyncio.CancelledError) else Code.INTERNAL


def forget_process(pid: int, folder: Path) -> None:
    """Removes a dead process's gauges; its counts stay in the sums."""
    mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]
