"""Models on disk and servers on loopback for the tests of serving."""

import asyncio
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

# The light client's tests run without TensorFlow, so it is imported by the fixtures that need it.


@dataclass
class RunningServer:
    """A server in a thread of this process."""

    grpc: str
    rest: str
    loop: asyncio.AbstractEventLoop

    def call(self, coroutine: Any) -> Any:
        """Run a coroutine in the server's loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(30)


@pytest.fixture(scope="session")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SavedModel that distinguishes blue, green and red images."""
    from tests.serving.models import save_colours

    return save_colours(tmp_path_factory.mktemp("saved") / "colours")


@pytest.fixture(scope="session")
def always_blue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SavedModel that finds every image blue."""
    from tests.serving.models import save_colours

    return save_colours(tmp_path_factory.mktemp("saved") / "blue", bias=100.0)


@pytest.fixture(scope="session")
def numbers_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SavedModel with signatures of several inputs, types and shapes."""
    from tests.serving.models import save_numbers

    return save_numbers(tmp_path_factory.mktemp("saved") / "numbers")


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """An empty version folder."""
    folder = tmp_path / "models" / "m"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def serve() -> Iterator[Callable[..., RunningServer]]:
    """Starts servers on free loopback ports; they end with the test."""
    with ExitStack() as running:
        yield _Servers(running).start


@pytest.fixture(scope="module")
def serve_for_module() -> Iterator[Callable[..., RunningServer]]:
    """As `serve`, ended with the module's last test."""
    with ExitStack() as running:
        yield _Servers(running).start


@pytest.fixture(scope="module")
def serve_versions(
    serve_for_module: Callable[..., RunningServer], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., RunningServer]:
    """Starts a server of saved models by their versions, and waits until it serves them all."""

    def start(versions: Mapping[int, Path], **settings: Any) -> RunningServer:
        from serving.client import connect

        base = tmp_path_factory.mktemp("served") / "m"
        base.mkdir()
        for version, saved in versions.items():
            copy_version(saved, base, version)
        server = serve_for_module(base, **settings)
        with connect(server.rest, model=settings.get("model_name", "m")) as client:
            wait_until(lambda: [s.state for s in client.status()] == ["AVAILABLE"] * len(versions))
        return server

    return start


class _Servers:
    def __init__(self, running: ExitStack) -> None:
        self._running = running

    def start(self, model_base: Path, **settings: Any) -> RunningServer:
        from serving.server.config import ServerConfig

        config = ServerConfig(
            model_base=model_base,
            **{
                "model_name": "m",
                "grpc_port": 0,
                "rest_port": 0,
                "poll_interval_s": 0.05,
                **settings,
            },
        )
        return self._running.enter_context(_server_in_thread(config))


@contextmanager
def _server_in_thread(config: Any) -> Iterator[RunningServer]:
    from serving.server.app import serving

    started = threading.Event()
    state: dict[str, Any] = {}

    async def main() -> None:
        state["stop"] = asyncio.Event()
        async with serving(config) as addresses:
            state.update(loop=asyncio.get_running_loop(), addresses=addresses)
            started.set()
            await state["stop"].wait()

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    assert started.wait(30)
    addresses = state["addresses"]
    try:
        yield RunningServer(addresses.grpc, addresses.rest, state["loop"])
    finally:
        state["loop"].call_soon_threadsafe(state["stop"].set)
        thread.join(30)


def copy_version(saved: Path, base: Path, version: int) -> Path:
    """Puts a model into a version folder like a careful copy: hidden first, then renamed."""
    hidden = base / f".copy-{version}"
    shutil.copytree(saved, hidden)
    return hidden.rename(base / str(version))


def wait_until(condition: Callable[[], bool], timeout_s: float = 20.0) -> None:
    """Polls a condition that should soon become true."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)
