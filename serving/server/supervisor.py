"""Several server processes that share two ports.

Python runs one request at a time, so one process cannot keep more than about two cores busy. Each
process is a whole server with its own copy of the model; the kernel distributes connections over
their listening sockets (SO_REUSEPORT). Like replicas behind a load balancer, each changes to a new
version by itself, within `poll_interval_s`.

This module imports no TensorFlow.
"""

import json
import logging
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType

from components.raster.errors import SkymillError
from serving.server.addresses import Addresses
from serving.server.command import server_command, server_environment
from serving.server.config import ServerConfig
from serving.server.errors import ListenError
from serving.server.metrics import MULTIPROCESS_DIR, forget_process

logger = logging.getLogger(__name__)

_LOOK_EVERY_S = 0.1
_READY_TIMEOUT_S = 120.0
_RESTART_AFTER_S = 1.0
_KILL_AFTER_S = 5.0  # after the time for finishing requests


class WorkerError(SkymillError):
    """A server process ended before it listened."""


def supervise(
    config: ServerConfig, on_ready: Callable[[Addresses], None] = lambda addresses: None
) -> None:
    """Serves with `config.processes` processes until SIGTERM or SIGINT; replaces a dead one.

    Raises:
        ListenError: a port is taken.
        WorkerError: a process ends before it listens.
    """
    stop = threading.Event()
    with ExitStack() as stack:
        stack.enter_context(_signals_set(stop))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="skymill-serve-")))
        grpc_port = stack.enter_context(_held_port("gRPC", config.host, config.grpc_port))
        rest_port = stack.enter_context(_held_port("REST", config.host, config.rest_port))
        shared = config.model_copy(update={"grpc_port": grpc_port, "rest_port": rest_port})
        workers = [_Worker(shared, folder, index) for index in range(config.processes)]
        stack.callback(_stop_all, workers, config.drain_timeout_s + _KILL_AFTER_S)
        for worker in workers:
            worker.start("first_look")
        for worker in workers:
            worker.wait_until_ready(stop)
        if not stop.is_set():
            on_ready(Addresses(config.host, grpc_port, rest_port))
        while not stop.wait(_LOOK_EVERY_S):
            for worker in workers:
                worker.revive()


class _Worker:
    """One server process, restarted when it dies."""

    def __init__(self, config: ServerConfig, folder: Path, index: int) -> None:
        self._config = config
        self._folder = folder
        self._ready_file = folder / f"ready-{index}.json"
        self._started_at = 0.0
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, listen_from: str) -> None:
        """Starts the process; `listen_from` determines when it accepts connections."""
        settings = json.loads(self._config.model_dump_json(exclude={"processes"}))
        settings |= {"supervisor_pid": os.getpid(), "listen_from": listen_from, **self._threads()}
        self._ready_file.unlink(missing_ok=True)
        self._started_at = time.monotonic()
        self.process = subprocess.Popen(
            server_command(settings, self._ready_file),
            stdin=subprocess.DEVNULL,
            # Only the supervisor takes a terminal's Ctrl-C, and passes it on.
            start_new_session=True,
            env={**server_environment(), MULTIPROCESS_DIR: str(self._folder)},
        )

    def wait_until_ready(self, stop: threading.Event) -> None:
        deadline = time.monotonic() + _READY_TIMEOUT_S
        while not self._ready_file.exists() and not stop.is_set():
            if self.process is None or self.process.poll() is not None:
                raise WorkerError("A server process ended before it listened; its log says why.")
            if time.monotonic() > deadline:
                raise WorkerError(f"A server process did not listen in {_READY_TIMEOUT_S:g} s.")
            stop.wait(_LOOK_EVERY_S)

    def revive(self) -> None:
        if self.process is None or self.process.poll() is None:
            return
        if time.monotonic() - self._started_at < _RESTART_AFTER_S:
            return  # limits the rate of restarts
        logger.error(
            "server process %d ended with %d; a new one replaces it",
            self.process.pid,
            self.process.returncode,
        )
        forget_process(self.process.pid, self._folder)
        self.start("first_answer")  # until then the other processes answer

    def _threads(self) -> dict[str, int]:
        """Divides the cores among the processes, unless the configuration sets the threads."""
        part = max(1, (os.cpu_count() or 1) // self._config.processes)
        return {
            "intra_op_threads": self._config.intra_op_threads or part,
            "inter_op_threads": self._config.inter_op_threads or part,
        }


def _stop_all(workers: list[_Worker], timeout_s: float) -> None:
    running = [worker.process for worker in workers if worker.process is not None]
    for process in running:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + timeout_s
    for process in running:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def _signals_set(stop: threading.Event) -> Iterator[None]:
    def on_signal(number: int, frame: FrameType | None) -> None:
        stop.set()

    before = {
        number: signal.signal(number, on_signal) for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _held_port(protocol: str, host: str, port: int) -> Iterator[int]:
    """Reserves a port against other users' processes during the block; yields its number.

    A socket that does not listen gets no connections, so it can hold the port for the workers.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family) as probe:  # another listener would share the connections
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
        holder = socket.socket(family)
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind(address)
    except OSError as error:
        raise ListenError(protocol, host, port, error.strerror or str(error)) from error
    with holder:
        yield int(holder.getsockname()[1])
