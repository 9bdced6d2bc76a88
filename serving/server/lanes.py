"""Lanes of one loaded version: separate queues for predictions and explanations.

An explanation costs as much as tens of predictions, which would have to wait in a shared queue.
"""

from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass

from serving.contract.names import EXPLAIN_SIGNATURE
from serving.server.batching import Batcher
from serving.server.config import ServerConfig
from serving.server.limits import TensorLimits
from serving.server.model import LoadedModel


@dataclass(frozen=True, eq=False)
class Lane:
    """A queue in front of a model, with the limits on one request in it."""

    batcher: Batcher
    limits: TensorLimits


@dataclass(frozen=True, eq=False)
class Lanes:
    """The lanes of one loaded version."""

    predictions: Lane
    explanations: Lane

    def of(self, signature: str) -> Lane:
        """Returns the lane of a signature's requests."""
        return self.explanations if signature == EXPLAIN_SIGNATURE else self.predictions

    @property
    def queued_rows(self) -> int:
        """Number of rows that wait in both lanes."""
        return self.predictions.batcher.queued_rows + self.explanations.batcher.queued_rows


class LaneThreads:
    """The threads that run a server's model, which its versions share."""

    def __init__(self, config: ServerConfig, on_batch: Callable[[int], None]) -> None:
        self._config, self._on_batch = config, on_batch
        workers = config.batch_workers
        self._predictions = ThreadPoolExecutor(workers, thread_name_prefix="batch")
        self._explanations = ThreadPoolExecutor(1, thread_name_prefix="explain")

    def lanes(self, model: LoadedModel) -> Lanes:
        """Returns new, empty lanes in front of a loaded model."""
        config = self._config
        predictions = TensorLimits(config.max_request_rows, config.max_tensor_bytes)
        explanations = TensorLimits(
            config.max_explain_rows, config.max_tensor_bytes, "max_explain_rows"
        )
        return Lanes(
            self._lane(
                *(model, predictions, self._predictions, config.batch_workers),
                *(config.max_batch_size, config.max_queued_rows, "max_queued_rows"),
            ),
            self._lane(
                *(model, explanations, self._explanations, 1),
                *(config.explain_batch_size, config.max_queued_explanations),
                "max_queued_explanations",
            ),
        )

    def _lane(
        self,
        model: LoadedModel,
        limits: TensorLimits,
        executor: Executor,
        workers: int,
        batch_size: int,
        queued_rows: int,
        queue_setting: str,
    ) -> Lane:
        batcher = Batcher(
            model.run,
            executor,
            max_batch_size=batch_size,
            max_queued_rows=queued_rows,
            workers=workers,
            queue_setting=queue_setting,
            on_batch=self._on_batch,
            check_answer=limits.check_answer,
        )
        return Lane(batcher, limits)

    def shutdown(self) -> None:
        """Ends the threads after their current batches."""
        self._predictions.shutdown(wait=False, cancel_futures=True)
        self._explanations.shutdown(wait=False, cancel_futures=True)
