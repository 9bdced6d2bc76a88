"""A command that a signal ends leaves nothing in the temporary folder."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from pipelines.definition.temporary import own_temporary_folder
from serving.store.versions import push_version
from tests.serving.conftest import always_blue as always_blue

#: Only a process that ignores the signal takes so long, however busy the machine is.
_END_S = 120
_WAITING = """
import subprocess, sys, tempfile, time, types
import click
from pipelines.cli import main as main_module
from pipelines.cli.main import _COMMANDS, main
from pipelines.definition.temporary import own_temporary_folder

@click.command()
@own_temporary_folder()
def command():
    tempfile.mkdtemp()
    subprocess.run([sys.executable, "-c", "import tempfile; tempfile.mkstemp()"], check=True)
    print("waiting", flush=True)
    time.sleep(3600)

_COMMANDS["wait"] = ""
sys.modules["pipelines.cli.wait"] = types.SimpleNamespace(command=command)
sys.argv = ["skymill", "wait"]
main()
"""


@pytest.fixture
def environment(tmp_path: Path, repository: Path) -> Mapping[str, str]:
    (tmp_path / "temporary").mkdir()
    return {
        **os.environ,
        "TMPDIR": str(tmp_path / "temporary"),
        "PYTHONPATH": str(repository),
        "PYTHONUNBUFFERED": "1",
    }


def _end(process: subprocess.Popen[str], number: int) -> int:
    """Sends a signal and returns the exit code; a process that stays fails the test."""
    process.send_signal(number)
    try:
        return process.wait(_END_S)
    finally:
        process.kill()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 1)])
def test_a_command_tidies_up_when_a_signal_ends_it(
    tmp_path: Path, environment: Mapping[str, str], number: int, code: int
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _WAITING], env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        assert len(list((tmp_path / "temporary").rglob("*"))) == 3
        assert _end(process, number) == code
    assert list((tmp_path / "temporary").iterdir()) == []


def test_the_temporary_folder_is_the_systems_own_again_afterwards() -> None:
    before, variable = tempfile.gettempdir(), os.environ.get("TMPDIR")

    @own_temporary_folder()
    def inside() -> Path:
        (place := Path(tempfile.mkdtemp())).chmod(0o700)
        assert str(place.parent) == os.environ["TMPDIR"] == tempfile.gettempdir() != before
        return place

    for _ in range(2):
        assert not inside().parent.exists()
    assert (tempfile.gettempdir(), os.environ.get("TMPDIR")) == (before, variable)


@pytest.mark.slow
@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_server_that_a_signal_ends_leaves_no_file(
    tmp_path: Path, environment: Mapping[str, str], always_blue: Path, processes: str
) -> None:
    push_version(always_blue, tmp_path / "models" / "m", expected_baseline=None)
    command = [sys.executable, "-m", "pipelines.cli", "serve", "--model-base", "models/m"]
    ports = ["--grpc-port", "0", "--rest-port", "0", "--processes", processes]
    with subprocess.Popen(
        [*command, *ports], env=environment, cwd=tmp_path, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert any("m: grpc://" in line for line in process.stderr)
        assert _end(process, signal.SIGTERM) == 0
    assert list((tmp_path / "temporary").iterdir()) == []
