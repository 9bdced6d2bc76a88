"""Batching of requests that arrive while the model is busy, without a timer.

A free worker takes all waiting requests, up to a batch. So an idle server answers a single request
at once, and a busy one finds full batches.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace

import numpy as np

from serving.client.wire_tensors import Array
from serving.server.errors import Code, ServingError
from serving.server.model import Arrays, SignatureSpec

# Turns of the event loop without a new request after which arrivals count as complete. gRPC's own
# threads need a few tens to hand over arrived requests, which takes 0.05 ms on an idle server.
_QUIET_TURNS = 32

Run = Callable[[str, Arrays], dict[str, Array]]
Outcome = dict[str, Array] | BaseException

# Requests with an equal key may share a batch: signature, and each input's name, type and row
# shape.
Key = tuple[str, tuple[tuple[str, str, tuple[int, ...]], ...]] | object


@dataclass(frozen=True)
class _Rows:
    """A request, or a part of one."""

    signature: SignatureSpec
    inputs: Arrays
    rows: int
    key: Key

    def parts(self, size: int) -> Iterator["_Rows"]:
        for start in range(0, self.rows, size):
            inputs = {name: array[start : start + size] for name, array in self.inputs.items()}
            rows = min(size, self.rows - start)
            yield _Rows(self.signature, inputs, rows, self.key)


@dataclass(eq=False)
class _Pending:
    request: _Rows
    done: asyncio.Future[dict[str, Array]]

    @property
    def rows(self) -> int:
        return self.request.rows


class Batcher:
    """Queue in front of one loaded model. Runs in one event loop; the model runs in an executor."""

    def __init__(
        self,
        run: Run,
        executor: Executor,
        *,
        max_batch_size: int,
        max_queued_rows: int,
        workers: int,
        queue_setting: str = "max_queued_rows",
        on_batch: Callable[[int], None] = lambda rows: None,
        check_answer: Callable[[Arrays, float], object] = lambda outputs, parts: None,
    ) -> None:
        self._run = run
        self._executor = executor
        self._max_batch_size = max_batch_size
        self._max_queued_rows, self._queue_setting = max_queued_rows, queue_setting
        self._free_workers = workers
        self._on_batch = on_batch
        self._check_answer = check_answer
        self._waiting: OrderedDict[Key, deque[_Pending]] = OrderedDict()
        self._queued_rows = 0

    @property
    def queued_rows(self) -> int:
        """Number of rows that wait for a worker."""
        return self._queued_rows

    async def submit(self, signature: SignatureSpec, inputs: Arrays) -> dict[str, Array]:
        """Returns the signature's outputs for these (checked) inputs.

        A request with more rows than a batch runs in parts, so that it needs no more memory than a
        batch, and other requests run between its parts.

        Raises:
            ServingError: the model's own error, or UNAVAILABLE if the queue is full.
        """
        key, rows = _batch_key(signature, inputs)
        if self._queued_rows + min(rows, self._max_batch_size) > self._max_queued_rows:
            raise ServingError(
                Code.UNAVAILABLE,
                "The batch scheduling queue to which this task was submitted is full; "
                f"{self._queued_rows} rows wait and {self._queue_setting} is "
                f"{self._max_queued_rows}",
            )
        if rows > self._max_batch_size:
            return await self._in_parts(_Rows(signature, inputs, rows, key))
        return await self._enqueue(_Rows(signature, inputs, rows, key))

    async def _in_parts(self, whole: _Rows) -> dict[str, Array]:
        answers: list[dict[str, Array]] = []
        for part in whole.parts(self._max_batch_size):
            outputs = await self._enqueue(part)
            if not _same_rows(outputs, part.rows, like=answers[0] if answers else outputs):
                # An output differs from the inputs in its number of rows, so parts cannot be
                # joined.
                return await self._enqueue(replace(whole, key=object()))
            self._check_answer(outputs, whole.rows / part.rows)
            answers.append(outputs)
        return {name: np.concatenate([it[name] for it in answers]) for name in answers[0]}

    def _enqueue(self, rows: _Rows) -> asyncio.Future[dict[str, Array]]:
        done: asyncio.Future[dict[str, Array]] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(rows.key, deque()).append(_Pending(rows, done))
        self._queued_rows += rows.rows
        self._start_worker()
        return done

    def _start_worker(self) -> None:
        if self._waiting and self._free_workers:
            self._free_workers -= 1
            self._await_arrivals()

    def _await_arrivals(self, rows_before: int = 0, quiet_turns: int = 0) -> None:
        """Runs a batch once requests in the socket buffers have arrived: a few turns of the loop.

        A batch of ten costs less than ten batches of one, so it pays to wait for arrived requests.
        On an idle server this takes tens of microseconds.
        """
        loop = asyncio.get_running_loop()
        quiet_turns = quiet_turns + 1 if self._queued_rows == rows_before else 0
        if quiet_turns < _QUIET_TURNS and self._queued_rows < self._max_batch_size:
            loop.call_soon(self._await_arrivals, self._queued_rows, quiet_turns)
        elif batch := self._take():
            # Callbacks: a task that awaits the executor costs 20 microseconds more for each batch.
            self._executor.submit(self._work, batch, loop)
        else:
            self._free_workers += 1

    def _work(self, batch: Sequence[_Pending], loop: asyncio.AbstractEventLoop) -> None:
        """Runs a batch in a worker thread."""
        outcomes = self._run_batch(batch)
        loop.call_soon_threadsafe(self._answer, batch, outcomes)

    def _answer(self, batch: Sequence[_Pending], outcomes: Sequence[Outcome]) -> None:
        for pending, outcome in zip(batch, outcomes, strict=True):
            _resolve(pending.done, outcome)
        self._free_workers += 1
        self._start_worker()

    def _take(self) -> list[_Pending]:
        """Takes the next batch: the requests that waited longest and may share one."""
        batch: list[_Pending] = []
        rows = 0
        while self._waiting and not batch:
            key, queue = next(iter(self._waiting.items()))
            while queue and (not batch or rows + queue[0].rows <= self._max_batch_size):
                pending = queue.popleft()
                self._queued_rows -= pending.rows
                if not pending.done.done():  # skip requests of clients that have disconnected
                    batch.append(pending)
                    rows += pending.rows
            if queue:
                self._waiting.move_to_end(key)
            else:
                del self._waiting[key]
        return batch

    def _run_batch(self, batch: Sequence[_Pending]) -> list[Outcome]:
        """Runs a batch; if it fails, runs its requests one by one."""
        if len(batch) > 1:
            try:
                return self._run_together(batch)
            except Exception:
                pass  # the single runs below find the bad request; the others must not fail
        return [self._run_alone(pending) for pending in batch]

    def _run_together(self, batch: Sequence[_Pending]) -> list[Outcome]:
        rows = [pending.rows for pending in batch]
        inputs = {
            name: np.concatenate([pending.request.inputs[name] for pending in batch])
            for name in batch[0].request.inputs
        }
        outputs = self._run(batch[0].request.signature.name, inputs)
        if any(array.ndim == 0 or len(array) != sum(rows) for array in outputs.values()):
            raise ValueError("an output differs from the inputs in its number of rows")
        self._on_batch(sum(rows))
        ends = np.cumsum(rows).tolist()
        return [
            {name: array[end - n : end] for name, array in outputs.items()}
            for end, n in zip(ends, rows, strict=True)
        ]

    def _run_alone(self, pending: _Pending) -> Outcome:
        try:
            outputs = self._run(pending.request.signature.name, pending.request.inputs)
        except Exception as error:
            return error
        self._on_batch(pending.rows)
        return outputs


def _resolve(done: asyncio.Future[dict[str, Array]], outcome: Outcome) -> None:
    if done.done():
        return
    if isinstance(outcome, BaseException):
        done.set_exception(outcome)
    else:
        done.set_result(outcome)


def _same_rows(outputs: Arrays, rows: int, like: Arrays) -> bool:
    """Checks that every output has one row for each input row, shaped as in earlier parts."""
    return all(
        array.ndim and len(array) == rows and array.shape[1:] == like[name].shape[1:]
        for name, array in outputs.items()
    )


def _batch_key(signature: SignatureSpec, inputs: Arrays) -> tuple[Key, int]:
    """Returns the key of a request's batch, and its number of rows."""
    rows = {len(array) if array.ndim else -1 for array in inputs.values()}
    if len(rows) != 1 or -1 in rows or not signature.batchable:
        return object(), 1  # equal only to itself: runs alone
    specs = tuple(
        (name, inputs[name].dtype.char, inputs[name].shape[1:]) for name in signature.inputs
    )
    return (signature.name, specs), rows.pop()
