"""Programs that run on loopback for as long as a test needs them."""

import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_GRACE_S = 10.0


@contextmanager
def running(
    command: Sequence[str], log: Path, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A program whose output goes to a file; it is ended with the context."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=subprocess.STDOUT, env=env, cwd=cwd, start_new_session=True
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def until(
    look: Callable[[], Any],
    seconds: float,
    process: subprocess.Popen[bytes] | None = None,
    log: Path | None = None,
) -> Any:
    """Polls a function and returns its first true answer.

    Args:
        look: the function.
        seconds: time limit.
        process: a program that must not end before.
        log: its output, whose end is part of the error.

    Raises:
        AssertionError: there was no true answer in time.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and (process is None or process.poll() is None):
        if found := look():
            return found
        time.sleep(0.1)
    said = log.read_text(errors="replace")[-3000:] if log else ""
    raise AssertionError(f"not within {seconds:g} s: {look}\n{said}")


def absent(tools: Path, *names: str) -> str:
    """Returns which programs were not built; empty if all were."""
    missing = [name for name in names if not (tools / name).exists()]
    return f"needs {', '.join(missing)}: make backend" if missing else ""


def free_ports(count: int, host: str = "127.0.0.1") -> list[int]:
    """Ports that nothing listens on."""
    sockets = [socket.create_server((host, 0)) for _ in range(count)]
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports
