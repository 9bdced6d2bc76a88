"""Programs that start with the heavy libraries imported.

Importing TensorFlow, TFX and Beam takes most of the time of a short program. Here a server imports
them once and forks for each program; a second server has only what commands without them import.
Otherwise a program runs as under `python -m`, with its own arguments, environment, folder and
output. Tests of the imports themselves, or of the end of native libraries, need a fresh process.
"""

import atexit
import os
import runpy
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from multiprocessing import forkserver
from multiprocessing.context import ForkServerProcess
from multiprocessing.popen_forkserver import Popen
from multiprocessing.process import BaseProcess
from pathlib import Path
from subprocess import CompletedProcess
from unittest import mock

_LIBRARIES = [
    "apache_beam",
    "tensorflow",
    "tensorflow_data_validation",
    "tensorflow_model_analysis",
    "components.evaluation.executor",
    "pipelines.local.run_local",
    "trainer.run",
    "trainer.tune.run",
]
#: What commands that need none of these import: configuration, sources, the client.
_LIGHT_LIBRARIES = [
    "pipelines.cli.main",
    "pipelines.config.tree",
    "pipelines.definition.resolve",
    "pipelines.local.record",
    "pipelines.starter.propose",
]


def _server_with(libraries: list[str]) -> forkserver.ForkServer:
    server = forkserver.ForkServer()  # the module's own one may run without the libraries
    server.set_forkserver_preload(libraries)
    return server


_server, _light_server = _server_with(_LIBRARIES), _server_with(_LIGHT_LIBRARIES)


class WarmProcess(ForkServerProcess):
    """A process forked from the server with the libraries."""

    server = _server

    @classmethod
    def _Popen(cls, process: BaseProcess) -> Popen:
        connect = cls.server.connect_to_new_process
        # The server finds the libraries on this process's path.
        path = os.pathsep.join(filter(None, sys.path))
        with (
            mock.patch.object(forkserver, "connect_to_new_process", connect),
            mock.patch.dict(os.environ, PYTHONPATH=path),
        ):
            return Popen(process)


class LightProcess(WarmProcess):
    """A process forked from the server of commands without TensorFlow."""

    server = _light_server


def start(
    module: str,
    arguments: Sequence[str],
    *,
    stdout: Path,
    stderr: Path,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    light: bool = False,
) -> WarmProcess:
    """Starts `python -m module arguments`; `stdout` and `stderr` may be the same file."""
    where = Path.cwd() if cwd is None else cwd
    given = dict(os.environ if env is None else env)
    parts = (module, arguments, stdout, stderr, where, given)
    process = (LightProcess if light else WarmProcess)(target=_program, args=parts)
    process.start()
    return process


def run(
    module: str,
    arguments: Sequence[str],
    *,
    together: bool = False,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    light: bool = False,
) -> CompletedProcess[str]:
    """Runs `python -m module arguments` to its end.

    Args:
        together: joins stderr to stdout.
        light: runs a program that needs no TensorFlow in a process without it.
    """
    with tempfile.TemporaryDirectory(prefix="warm-") as folder:
        stdout = Path(folder, "stdout")
        stderr = stdout if together else Path(folder, "stderr")
        process = start(
            module, arguments, stdout=stdout, stderr=stderr, cwd=cwd, env=env, light=light
        )
        process.join()
        said = [stdout.read_text(), "" if together else stderr.read_text()]
    return CompletedProcess([module, *arguments], process.exitcode, *said)


def _program(
    module: str,
    arguments: Sequence[str],
    stdout: Path,
    stderr: Path,
    cwd: Path,
    env: Mapping[str, str],
) -> None:
    """Runs in the forked process."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    for number, path in ((1, stdout), (2, stderr)):
        file = os.open(path, flags)
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    tempfile.tempdir = None
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = [module, *arguments]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        atexit._run_exitfuncs()  # a forked process of `multiprocessing` would end without them
