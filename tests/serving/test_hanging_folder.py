"""File systems that do not answer: other versions are served, and the server still stops."""

import asyncio
import fcntl
import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from serving.client import connect
from serving.contract.numbering import LARGEST_VERSION
from serving.server.command import server_command, server_environment
from serving.server.folder import VersionFolder
from tests.serving.conftest import RunningServer, copy_version, wait_until
from tests.serving.models import RED


@contextmanager
def held(file: Path) -> Iterator[None]:
    """Blocks everyone who opens the file, like a dead mount, until the block ends."""
    before = signal.signal(signal.SIGIO, signal.SIG_IGN)  # how the kernel reports such a waiter
    with file.open("r+b") as holder:
        try:
            fcntl.fcntl(holder, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        except OSError as error:
            pytest.skip(f"this file system knows no leases: {error}")
        try:
            yield
        finally:
            fcntl.fcntl(holder, fcntl.F_SETLEASE, fcntl.F_UNLCK)
            signal.signal(signal.SIGIO, before)


def states(address: str, model: str = "m") -> dict[int, str]:
    with connect(address, model=model) as client:
        return {status.model_version: status.state for status in client.status()}


def test_a_load_that_hangs_holds_no_other_version_up(
    serve: Callable[..., RunningServer], base: Path, colours: Path
) -> None:
    copy_version(colours, base, 1)
    stuck = copy_version(colours, base, 2)
    with held(stuck / "variables" / "variables.index"):
        server = serve(base, slow_load_s=0.2)
        wait_until(lambda: states(server.rest) == {2: "LOADING", 1: "AVAILABLE"})
        with connect(server.grpc, model="m") as client:
            assert client.predict([RED])[0].model_version == 1
        copy_version(colours, base, 3)
        wait_until(lambda: states(server.rest).get(3) == "AVAILABLE")
    wait_until(lambda: states(server.rest) == {3: "AVAILABLE", 2: "END", 1: "END"})


def test_a_load_that_is_only_slow_is_served_in_the_end(
    serve: Callable[..., RunningServer], base: Path, colours: Path
) -> None:
    copy_version(colours, base, 1)
    slow = copy_version(colours, base, 2)
    with held(slow / "variables" / "variables.index"):
        server = serve(base, slow_load_s=0.2)
        wait_until(lambda: states(server.rest).get(1) == "AVAILABLE")
    wait_until(lambda: states(server.rest) == {2: "AVAILABLE", 1: "END"})


def test_a_pipe_in_a_version_is_refused_by_name_and_not_opened(
    serve: Callable[..., RunningServer], base: Path, colours: Path
) -> None:
    copy_version(colours, base, 1)
    bad = copy_version(colours, base, 2)
    (bad / "variables" / "variables.index").unlink()
    os.mkfifo(bad / "variables" / "variables.index")
    server = serve(base)
    wait_until(lambda: states(server.rest) == {2: "END", 1: "AVAILABLE"})
    with connect(server.rest, model="m") as client:
        (status,) = client.status(2)
    assert status.error_code == "FAILED_PRECONDITION"
    assert f"{bad}/variables/variables.index is neither a file nor" in status.error_message


def test_a_link_out_of_a_version_is_refused_by_name(
    serve: Callable[..., RunningServer], base: Path, colours: Path
) -> None:
    bad = copy_version(colours, base, 2)
    (bad / "variables").rename(base.parent / "elsewhere")
    (bad / "variables").symlink_to(base.parent / "elsewhere")
    server = serve(base)
    wait_until(lambda: states(server.rest) == {2: "END"})
    with connect(server.rest, model="m") as client:
        (status,) = client.status(2)
    assert f"{bad}/variables is a link that leads out of the model" in status.error_message


def test_a_number_beyond_int64_is_ignored_and_said_once(
    serve: Callable[..., RunningServer],
    base: Path,
    colours: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    copy_version(colours, base, 3)
    copy_version(colours, base, LARGEST_VERSION + 1)
    shutil.copytree(colours, base / "003")
    server = serve(base, poll_interval_s=0.01)
    wait_until(lambda: states(server.rest) == {3: "AVAILABLE"})
    time.sleep(0.1)
    said = [r.getMessage() for r in caplog.records if "is not served" in r.getMessage()]
    assert len(said) == 2
    assert f"{LARGEST_VERSION + 1} is not served: not a version number" in said[0]
    assert said[1] == f"{base}/003 is not served: the same version as 3"
    copy_version(colours, base, LARGEST_VERSION)
    wait_until(lambda: states(server.rest).get(LARGEST_VERSION) == "AVAILABLE")
    with connect(server.grpc, model="m") as client:
        assert client.predict([RED])[0].model_version == LARGEST_VERSION
        assert client.served_version() == LARGEST_VERSION


class Mount:
    """Stands in for a dead mount below a folder: reads of it wait until it is alive again."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, dead: Path) -> None:
        self.alive, self.asked = threading.Event(), 0
        is_file = Path.is_file

        def asking(path: Path) -> bool:
            if path.is_relative_to(dead):
                self.asked += 1
                self.alive.wait(10)
            return is_file(path)

        monkeypatch.setattr(Path, "is_file", asking)


def test_a_dead_mount_is_asked_once_and_changes_nothing_of_the_others(
    base: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for number in (1, 2, 3):
        (base / str(number)).mkdir()
        (base / str(number) / "saved_model.pb").touch()
    mount = Mount(monkeypatch, base / "2")

    async def looks() -> None:
        folder = VersionFolder(base, patience_s=0.05)
        for _ in range(3):
            look = await folder.read()
            assert look is not None
            assert look.complete.keys() == {1, 3}
            assert look.unknown == {2}
        assert mount.asked == 1
        mount.alive.set()
        await asyncio.sleep(0.05)
        look = await folder.read()
        assert look is not None
        assert look.complete.keys() == {1, 2, 3}

    asyncio.run(looks())
    assert caplog.text.count("does not answer") == 1


def test_a_version_that_a_listing_leaves_out_is_asked_for_by_its_path(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (1, 2, 3):
        (base / str(number)).mkdir()
        (base / str(number) / "saved_model.pb").touch()
    iterdir = Path.iterdir

    def cut_short(path: Path) -> Iterator[Path]:
        return (entry for entry in iterdir(path) if entry.name not in ("2", "3"))

    monkeypatch.setattr(Path, "iterdir", cut_short)
    (base / "3" / "saved_model.pb").unlink()
    look = asyncio.run(VersionFolder(base).read({2: base / "2", 3: base / "3"}))
    assert look is not None
    assert look.complete.keys() == {1, 2}, "3 is gone for certain"
    assert look.unknown == frozenset()


@pytest.mark.slow
def test_sigterm_ends_a_server_that_hangs_in_a_load(base: Path, colours: Path) -> None:
    stuck = copy_version(colours, base, 1)
    ready = base.parent / "ready.json"
    command = server_command({"model_base": base, "grpc_port": 0, "rest_port": 0}, ready)
    with held(stuck / "variables" / "variables.index"):
        process = subprocess.Popen(command, env=server_environment(), stderr=subprocess.DEVNULL)
        wait_until(ready.exists, 60)
        address = f"http://127.0.0.1:{json.loads(ready.read_text())['rest_port']}"
        wait_until(lambda: states(address, "model") == {1: "LOADING"})
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0
