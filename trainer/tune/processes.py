"""Local worker processes, which end with their parent in any case."""

import os
import subprocess
import sys
from collections.abc import Mapping
from types import TracebackType
from typing import Self

import tensorflow as tf

from components.raster.errors import SkymillError
from trainer.tune.search import SearchPaths

_GRACE_S = 10
_LOG_TAIL = 2000


class WorkerDiedError(SkymillError):
    """A worker ended before it requested a trial."""


class LocalWorkers:
    """Processes that run trials; a context manager that ends them.

    Args:
        count: number of concurrent processes.
        socket: the path of the chief's socket.
        paths: the search's folder.
    """

    def __init__(self, count: int, socket: str, paths: SearchPaths) -> None:
        self._socket, self._paths = socket, paths
        self._shares = device_shares(count, _cores(), _gpus())
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._requests_before: dict[str, int] = {}

    def __enter__(self) -> Self:
        for number in range(len(self._shares)):
            self._start(number, requests=0)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for process in self._running.values():
            process.terminate()
        for process in self._running.values():
            try:
                process.wait(_GRACE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def tend(self, requests: Mapping[str, int]) -> None:
        """Replaces dead processes; their trials are assigned again.

        Args:
            requests: number of trial requests of each worker.

        Raises:
            WorkerDiedError: a process died before its first request, so the next would too.
        """
        for number, (name, process) in enumerate(list(self._running.items())):
            if process.poll() in (None, 0):
                continue
            if requests.get(name, 0) == self._requests_before[name]:
                raise WorkerDiedError(self._last_words(name, process.returncode))
            self._start(number, requests.get(name, 0))

    def _start(self, number: int, requests: int) -> None:
        name = f"worker-{number}"
        path = self._paths.worker_log(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        command = [sys.executable, "-m", "trainer.tune.worker"]
        with open(path, "ab") as log:
            self._running[name] = subprocess.Popen(
                [*command, self._paths.root, self._paths.name, "--end-with-stdin"],
                env={**os.environ, **self._shares[number], **_protocol(name, self._socket)},
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
            )
        self._requests_before[name] = requests

    def _last_words(self, name: str, code: int) -> str:
        path = self._paths.worker_log(name)
        with open(path, encoding="utf-8", errors="replace") as file:
            tail = file.read()[-_LOG_TAIL:]
        return f"{name} ended with code {code} before its first trial; its log, {path}:\n{tail}"


def device_shares(count: int, cores: int, gpus: tuple[str, ...]) -> tuple[dict[str, str], ...]:
    """Returns the share of devices of each process, as environment variables.

    CPU threads are divided. GPUs are divided if there is one for each process; otherwise all share
    them and allocate memory on demand. Variables set by the user are kept.

    Args:
        count: number of processes.
        cores: number of available cores.
        gpus: indices of the available GPUs.
    """
    threads = str(max(1, cores // count))
    common = {
        name: os.environ.get(name, threads)
        for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
        if count > 1 or name in os.environ
    }
    if not gpus:
        return (common,) * count
    if len(gpus) < count:
        alone = {"CUDA_VISIBLE_DEVICES": "", "TF_FORCE_GPU_ALLOW_GROWTH": "true"}
        return tuple(
            {**common, **alone, "CUDA_VISIBLE_DEVICES": gpus[number % len(gpus)]}
            for number in range(count)
        )
    each = len(gpus) // count
    return tuple(
        {**common, "CUDA_VISIBLE_DEVICES": ",".join(gpus[i * each : (i + 1) * each])}
        for i in range(count)
    )


def _protocol(name: str, socket: str) -> dict[str, str]:
    """Returns KerasTuner's variables; it joins the first two by a colon, which names a socket."""
    return {
        "KERASTUNER_TUNER_ID": name,
        "KERASTUNER_ORACLE_IP": "unix",
        "KERASTUNER_ORACLE_PORT": socket,
    }


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def _gpus() -> tuple[str, ...]:
    """Returns the available GPUs, as CUDA_VISIBLE_DEVICES names them."""
    found = tf.config.list_physical_devices("GPU")
    named = [one for one in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if one.strip()]
    return tuple(named[: len(found)]) or tuple(str(number) for number in range(len(found)))
