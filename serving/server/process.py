"""Server as a child process, for a check or a test over sockets."""

import json
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.raster.errors import SkymillError
from serving.contract.numbering import version_number
from serving.server.command import server_command, server_environment
from serving.store.versions import is_complete

_LOG_TAIL_CHARS = 4000
_LOOK_EVERY_S = 0.05
_STOP_TIMEOUT_S = 20.0
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback needs no proxy


class ServerProcessError(SkymillError):
    """The server did not start or did not serve the model; holds the end of its log."""


@dataclass(frozen=True)
class ServerProcess:
    """A running server and its addresses."""

    pid: int
    grpc: str
    rest: str
    model_name: str
    log_path: Path


@contextmanager
def serve_in_subprocess(
    model_base: Path,
    *,
    model_name: str = "model",
    timeout_s: float = 120.0,
    settings: Mapping[str, object] | None = None,
    wait_for_model: bool = True,
) -> Iterator[ServerProcess]:
    """Serves the newest version in `model_base` on free loopback ports during the block.

    Args:
        model_base: the folder of integer version folders.
        model_name: the name under which to serve it.
        timeout_s: time for loading.
        settings: further fields of `ServerConfig`.
        wait_for_model: whether to wait until a version is AVAILABLE, or only for the ports.

    Raises:
        ServerProcessError: the server ended, refused the model, or took too long.
    """
    with tempfile.TemporaryDirectory(prefix="skymill-serve-") as folder:
        ready_file, log_path = Path(folder) / "ready.json", Path(folder) / "server.log"
        given = {
            "model_base": model_base.resolve(),
            "model_name": model_name,
            "grpc_port": 0,
            "rest_port": 0,
            **(settings or {}),
        }
        process = _start(given, ready_file, log_path)
        try:
            server = _wait_for_ports(
                process, ready_file, log_path, model_name, time.monotonic() + timeout_s
            )
            if wait_for_model:
                _wait_for_model(process, server, time.monotonic() + timeout_s)
            yield server
        finally:
            _stop(process)


@contextmanager
def serve_model_in_subprocess(
    model_dir: Path,
    *,
    model_name: str = "model",
    timeout_s: float = 120.0,
    settings: Mapping[str, object] | None = None,
) -> Iterator[ServerProcess]:
    """Serves exactly the SavedModel in `model_dir` during the block.

    A symbolic link points to it, so the server loads the original folder. Its version is the
    folder's own name if that is a version number, else 1.

    Raises:
        ServerProcessError: as in `serve_in_subprocess`.
    """
    if not is_complete(model_dir):
        raise ServerProcessError(f"{model_dir} holds no SavedModel.")
    with tempfile.TemporaryDirectory(prefix="skymill-model-") as folder:
        version = "1" if version_number(model_dir.name) is None else model_dir.name
        (Path(folder) / version).symlink_to(model_dir.resolve(), target_is_directory=True)
        with serve_in_subprocess(
            Path(folder), model_name=model_name, timeout_s=timeout_s, settings=settings
        ) as server:
            yield server


def _start(
    settings: Mapping[str, object], ready_file: Path, log_path: Path
) -> subprocess.Popen[bytes]:
    with log_path.open("wb") as log:
        return subprocess.Popen(
            server_command(settings, ready_file),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=server_environment(),
        )


def _wait_for_ports(
    process: subprocess.Popen[bytes],
    ready_file: Path,
    log_path: Path,
    model_name: str,
    deadline: float,
) -> ServerProcess:
    while not ready_file.exists():
        _check_alive(process, log_path, deadline)
        time.sleep(_LOOK_EVERY_S)
    ready = json.loads(ready_file.read_text())
    return ServerProcess(
        pid=process.pid,
        grpc=f"grpc://{ready['host']}:{ready['grpc_port']}",
        rest=f"http://{ready['host']}:{ready['rest_port']}",
        model_name=model_name,
        log_path=log_path,
    )


def _wait_for_model(
    process: subprocess.Popen[bytes], server: ServerProcess, deadline: float
) -> None:
    while True:
        statuses = _statuses(server)
        if any(status["state"] == "AVAILABLE" for status in statuses):
            return
        if statuses and all(status["state"] == "END" for status in statuses):
            reasons = "; ".join(
                f"version {status['version']}: {status['status']['error_message']}"
                for status in statuses
            )
            raise ServerProcessError(f"The server refuses the model. {reasons}")
        _check_alive(process, server.log_path, deadline)
        time.sleep(_LOOK_EVERY_S)


def _statuses(server: ServerProcess) -> list[dict[str, Any]]:
    try:
        url = f"{server.rest}/v1/models/{server.model_name}"
        with _DIRECT.open(url, timeout=5) as response:
            statuses: list[dict[str, Any]] = json.load(response)["model_version_status"]
            return statuses
    except (urllib.error.URLError, TimeoutError):
        return []  # no version is known yet


def _check_alive(process: subprocess.Popen[bytes], log_path: Path, deadline: float) -> None:
    if process.poll() is not None:
        what = f"The server ended with exit code {process.returncode}"
    elif time.monotonic() > deadline:
        what = "The server took too long to start or to load the model"
    else:
        return
    log = log_path.read_text(errors="replace")[-_LOG_TAIL_CHARS:]
    raise ServerProcessError(f"{what}. The end of its log:\n{log}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
