"""Life cycle of the server: ports, model, signals, and a shutdown that loses no request."""

import asyncio
import gc
import logging
import os
import resource
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TypeVar

from serving.server.addresses import Addresses
from serving.server.config import ServerConfig
from serving.server.grpc_api import Health, grpc_server
from serving.server.in_flight import BytesInFlight
from serving.server.manager import ModelManager
from serving.server.metrics import ServerMetrics
from serving.server.predictor import Predictor
from serving.server.rest_api import rest_server

T = TypeVar("T")

logger = logging.getLogger(__name__)

_SWITCH_INTERVAL_S = 0.0005
_REFRESH_EVERY_S = 1.0
_FIRST_LOOK_S = 60.0  # for a slower model the ports open before it is loaded


def run_server(
    config: ServerConfig, on_ready: Callable[[Addresses], None] = lambda addresses: None
) -> None:
    """Serves until SIGTERM or SIGINT, then finishes the requests in progress and returns.

    `on_ready` is called once both ports listen, which is before a model is loaded.
    """
    # TensorFlow logs every restored model, and warns that sessions belong to TensorFlow 1.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    _allow_descriptors()
    gc.collect()
    gc.freeze()  # imported objects are never freed; later collections need not scan them
    # The event loop, the model's thread and gRPC's own threads pass the interpreter lock to each
    # other at every batch; Python's default interval of 5 ms is too long for that.
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    with asyncio.Runner(loop_factory=_fast_loop_factory()) as runner:
        runner.run(_run(config, on_ready))


def _allow_descriptors() -> None:
    """Raises the limit of open files: the usual 1024 are fewer than the allowed connections."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _fast_loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Returns uvloop's factory if installed: it saves a quarter of the work of a gRPC request."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


async def _run(config: ServerConfig, on_ready: Callable[[Addresses], None]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    orphaned = asyncio.create_task(_stop_without(config.supervisor_pid, stop))
    try:
        async with AsyncExitStack() as stack:
            addresses = await _unless(stop, stack.enter_async_context(serving(config)))
            if addresses is not None:
                on_ready(addresses)
                await stop.wait()
                logger.info("stopping: requests in progress are finished first")
    finally:
        orphaned.cancel()


async def _unless(stop: asyncio.Event, starting: Coroutine[object, object, T]) -> T | None:
    """Awaits a coroutine; cancels it and returns None if the server has to stop first."""
    started = asyncio.ensure_future(starting)
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait((started, stopping), return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if started.done():
        return started.result()
    started.cancel()
    await asyncio.gather(started, return_exceptions=True)
    return None


async def _stop_without(supervisor_pid: int | None, stop: asyncio.Event) -> None:
    """Stops this process when its supervisor ends, for whatever reason."""
    while supervisor_pid is None or os.getppid() == supervisor_pid:
        await asyncio.sleep(_REFRESH_EVERY_S)
    stop.set()


@asynccontextmanager
async def serving(config: ServerConfig) -> AsyncIterator[Addresses]:
    """Runs a server in this event loop; leaving the block drains it."""
    metrics = ServerMetrics()
    in_flight = BytesInFlight(config.max_bytes_in_flight)
    manager = ModelManager(config, metrics)
    metrics.watch_queue(lambda: manager.queued_rows)
    predictor = Predictor(manager)
    health = Health()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(manager.watching())
        await _until_listening(config, manager)
        await health.set(manager.available)
        grpc = await stack.enter_async_context(
            grpc_server(config, predictor, metrics, health, in_flight)
        )
        rest = await stack.enter_async_context(rest_server(config, predictor, metrics, in_flight))
        reporters = [
            asyncio.create_task(_report_health(manager, health)),
            asyncio.create_task(_refresh(metrics)),
        ]
        addresses = Addresses(config.host, grpc.port, rest.port)
        logger.info(
            "model %s: gRPC on %s:%d, REST on %s",
            config.model_name,
            config.host,
            grpc.port,
            addresses.rest,
        )
        try:
            yield addresses
        finally:
            for reporter in reporters:
                reporter.cancel()
            await health.set(False)
            await asyncio.gather(grpc.drain(), rest.drain())


async def _until_listening(config: ServerConfig, manager: ModelManager) -> None:
    """Waits until the server can listen; on shared ports, clients must not reach it before."""
    if config.listen_from == "first_answer":
        await manager.answers.wait()
    elif config.listen_from == "first_look":
        with suppress(TimeoutError):
            await asyncio.wait_for(manager.settled.wait(), _FIRST_LOOK_S)


async def _report_health(manager: ModelManager, health: Health) -> None:
    while True:
        await manager.changed.wait()
        manager.changed.clear()
        await health.set(manager.available)


async def _refresh(metrics: ServerMetrics) -> None:
    """Refreshes the metrics, which another process of the server may report."""
    while True:
        metrics.refresh()
        await asyncio.sleep(_REFRESH_EVERY_S)
