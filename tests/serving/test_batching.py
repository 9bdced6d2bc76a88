"""The queue: requests that share a batch or not, and isolation of failures."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from serving.server.batching import Batcher
from serving.server.config import ServerConfig
from serving.server.errors import Code, ServingError
from serving.server.lanes import LaneThreads
from serving.server.model import Arrays, LoadedModel, SignatureSpec, TensorInfo

FLOAT = TensorInfo(1, (None,))
ROWS = TensorInfo(1, (None, None))
SCALAR = TensorInfo(1, ())
DOUBLE = SignatureSpec("double", {"x": FLOAT}, {"y": FLOAT})


class Model:
    """Doubles x; negative numbers are refused; waits for its gate."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.ran: list[list[float]] = []

    def run(self, signature: str, inputs: Arrays) -> dict[str, Any]:
        self.gate.wait(10)
        x = inputs["x"]
        self.ran.append(x.ravel().tolist())
        if (x < 0).any():
            raise ServingError(Code.INVALID_ARGUMENT, f"negative: {x.min()}")
        if signature == "total":
            return {"total": x.sum()}
        return {"y": x * 2}


def run(
    body: Callable[[Batcher, Model], Awaitable[None]],
    max_batch_size: int = 8,
    rows: int = 64,
    check_answer: Callable[[Arrays, float], object] = lambda outputs, parts: None,
) -> Model:
    """Run a test's body in an event loop with a batcher of one worker."""
    model = Model()

    async def main() -> None:
        with ThreadPoolExecutor(1) as executor:
            batcher = Batcher(
                model.run,
                executor,
                max_batch_size=max_batch_size,
                max_queued_rows=rows,
                workers=1,
                check_answer=check_answer,
            )
            try:
                await asyncio.wait_for(body(batcher, model), 20)
            finally:
                model.gate.set()

    asyncio.run(main())
    return model


def x(*values: float) -> dict[str, Any]:
    return {"x": np.array(values, np.float32)}


async def started(batcher: Batcher, model: Model, inputs: Arrays) -> asyncio.Task[Any]:
    """A request that is in the model and waits at its gate."""
    model.gate.clear()
    task = asyncio.create_task(batcher.submit(DOUBLE, inputs))
    while not batcher.queued_rows:
        await asyncio.sleep(0)
    while batcher.queued_rows:
        await asyncio.sleep(0)
    return task


def test_what_arrives_while_the_model_is_busy_goes_together() -> None:
    async def body(batcher: Batcher, model: Model) -> None:
        first = await started(batcher, model, x(0))
        others = [asyncio.create_task(batcher.submit(DOUBLE, x(i, -0.0))) for i in (1, 2, 3)]
        await asyncio.sleep(0)
        assert batcher.queued_rows == 6
        model.gate.set()
        await first
        answers = [(await other)["y"].tolist() for other in others]
        assert answers == [[2, 0], [4, 0], [6, 0]]

    assert [len(batch) for batch in run(body).ran] == [1, 6]


def test_a_lone_request_does_not_wait() -> None:
    async def body(batcher: Batcher, model: Model) -> None:
        answer = await asyncio.wait_for(batcher.submit(DOUBLE, x(21)), 5)
        assert answer["y"].tolist() == [42]

    assert run(body).ran == [[21]]


def test_a_batch_is_no_larger_than_allowed_and_a_large_request_goes_in_parts() -> None:
    async def body(batcher: Batcher, model: Model) -> None:
        first = await started(batcher, model, x(0))
        sizes = [3, 3, 3, 12, 1]
        others = [asyncio.create_task(batcher.submit(DOUBLE, x(*range(size)))) for size in sizes]
        await asyncio.sleep(0)
        model.gate.set()
        _, *answers = await asyncio.gather(first, *others)
        for size, answer in zip(sizes, answers, strict=True):
            assert answer["y"].tolist() == [2 * value for value in range(size)]

    # The last four of the twelve share a batch with the one that came after them.
    assert [len(batch) for batch in run(body).ran] == [1, 6, 3, 8, 5]


def test_a_large_request_without_an_output_for_each_row_is_run_whole() -> None:
    signature = SignatureSpec("total", {"x": FLOAT}, {"total": TensorInfo(1, None)})

    async def body(batcher: Batcher, model: Model) -> None:
        answer = await batcher.submit(signature, x(*range(20)))
        assert float(answer["total"]) == 190

    assert [len(batch) for batch in run(body).ran] == [8, 20]


def test_others_have_their_turn_between_the_parts_of_a_large_request() -> None:
    async def body(batcher: Batcher, model: Model) -> None:
        large = asyncio.create_task(batcher.submit(DOUBLE, x(*range(800))))
        await asyncio.sleep(0)
        assert (await batcher.submit(DOUBLE, x(7)))["y"].tolist() == [14]
        assert not large.done()
        assert (await large)["y"].tolist() == [2 * value for value in range(800)]

    run(body)


def test_an_answer_that_would_be_too_large_is_refused_after_its_first_part() -> None:
    def check(outputs: Arrays, parts: float) -> None:
        if parts * outputs["y"].nbytes > 100:
            raise ServingError(Code.RESOURCE_EXHAUSTED, "too large")

    async def body(batcher: Batcher, model: Model) -> None:
        assert len((await batcher.submit(DOUBLE, x(*range(25))))["y"]) == 25
        with pytest.raises(ServingError, match="too large"):
            await batcher.submit(DOUBLE, x(*range(26)))

    assert [len(batch) for batch in run(body, check_answer=check).ran] == [8, 8, 8, 1, 8]


def test_only_the_bad_request_of_a_batch_fails() -> None:
    async def body(batcher: Batcher, model: Model) -> None:
        first = await started(batcher, model, x(0))
        others = [asyncio.create_task(batcher.submit(DOUBLE, x(i))) for i in (1, -2, 3)]
        await asyncio.sleep(0)
        model.gate.set()
        outcomes = await asyncio.gather(first, *others, return_exceptions=True)
        assert outcomes[1]["y"].tolist() == [2]  # type: ignore[index]
        assert outcomes[3]["y"].tolist() == [6]  # type: ignore[index]
        assert isinstance(outcomes[2], ServingError)
        assert (outcomes[2].code, outcomes[2].message) == (
            Code.INVALID_ARGUMENT,
            "negative: -2.0",
        )

    assert run(body).ran == [[0], [1, -2, 3], [1], [-2], [3]]


def test_inputs_of_another_row_shape_do_not_share_a_batch() -> None:
    signature = SignatureSpec("double", {"x": ROWS}, {"y": ROWS})

    async def body(batcher: Batcher, model: Model) -> None:
        first = await started(batcher, model, x(0))
        shapes = [(1, 2), (1, 3), (2, 2), (1, 3)]
        others = [
            asyncio.create_task(batcher.submit(signature, {"x": np.ones(shape, np.float32)}))
            for shape in shapes
        ]
        await asyncio.sleep(0)
        model.gate.set()
        answers = await asyncio.gather(first, *others)
        assert [answer["y"].shape for answer in answers[1:]] == shapes

    assert [len(batch) for batch in run(body).ran] == [1, 6, 6]


@pytest.mark.parametrize(
    "signature",
    [
        pytest.param(SignatureSpec("total", {"x": FLOAT}, {"total": SCALAR}), id="known not to"),
        pytest.param(
            SignatureSpec("total", {"x": FLOAT}, {"total": TensorInfo(1, None)}), id="found"
        ),
    ],
)
def test_outputs_without_rows_are_not_mixed(signature: SignatureSpec) -> None:
    async def body(batcher: Batcher, model: Model) -> None:
        first = await started(batcher, model, x(0))
        others = [asyncio.create_task(batcher.submit(signature, x(i, 10 * i))) for i in (1, 2)]
        await asyncio.sleep(0)
        model.gate.set()
        answers = await asyncio.gather(first, *others)
        assert [float(answer["total"]) for answer in answers[1:]] == [11, 22]

    run(body)


def test_a_full_queue_refuses_in_tf_servings_way() -> None:
    async def body(batcher: Batcher, model: Model) -> None:
        first = await started(batcher, model, x(0))
        waiting = asyncio.create_task(batcher.submit(DOUBLE, x(*range(8))))
        await asyncio.sleep(0)
        with pytest.raises(ServingError, match="batch scheduling queue .* is full") as caught:
            await batcher.submit(DOUBLE, x(1))
        assert caught.value.code is Code.UNAVAILABLE
        model.gate.set()
        await asyncio.gather(first, waiting)
        assert (await batcher.submit(DOUBLE, x(1)))["y"].tolist() == [2]

    run(body, rows=8)


def test_a_full_lane_of_explanations_names_its_setting_and_predictions_go_on() -> None:
    model = Model()
    config = ServerConfig(
        model_base=Path("models"), explain_batch_size=2, max_queued_explanations=2
    )
    threads = LaneThreads(config, lambda rows: None)

    async def main() -> None:
        lanes = threads.lanes(cast(LoadedModel, model))
        first = await started(lanes.explanations.batcher, model, x(0))
        waiting = asyncio.create_task(lanes.explanations.batcher.submit(DOUBLE, x(1, 2)))
        await asyncio.sleep(0)
        with pytest.raises(ServingError, match="2 rows wait and max_queued_explanations is 2"):
            await lanes.explanations.batcher.submit(DOUBLE, x(3))
        others = asyncio.create_task(lanes.predictions.batcher.submit(DOUBLE, x(*range(8))))
        model.gate.set()
        await asyncio.gather(first, waiting, others)

    try:
        asyncio.run(asyncio.wait_for(main(), 20))
    finally:
        model.gate.set()
        threads.shutdown()


def test_a_request_that_was_given_up_is_not_worked_for() -> None:
    async def body(batcher: Batcher, model: Model) -> None:
        first = await started(batcher, model, x(0))
        given_up = asyncio.create_task(batcher.submit(DOUBLE, x(1)))
        kept = asyncio.create_task(batcher.submit(DOUBLE, x(2)))
        await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.sleep(0)
        model.gate.set()
        await asyncio.gather(first, kept)
        assert batcher.queued_rows == 0

    assert run(body).ran == [[0], [2]]
