"""Engines on loopback: a pool of workers, Beam's Prism, and its job server with Flink inside."""

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

# Packages that Flink's serialisation reads and Java 17 keeps closed.
OPENED = ("java.lang", "java.net", "java.nio", "java.time", "java.util", "sun.nio.ch")


@pytest.fixture(scope="module")
def workers(repository: Path) -> Iterator[str]:
    """Yields the address of a worker pool, which both engines use like a cluster's sidecar."""
    command = [sys.executable, "-m", "tests.engines.worker_pool"]
    with subprocess.Popen(
        command, cwd=repository, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as pool:
        assert pool.stdout is not None
        try:
            yield pool.stdout.readline().strip()
        finally:
            pool.terminate()


@pytest.fixture
def prism(repository: Path) -> list[str]:
    """Beam's options for its own portable runner, which Beam starts and ends itself."""
    program = repository / ".tools" / "beam" / "prism"
    if not program.exists():
        pytest.skip("needs Beam's Prism: make prism")
    return ["--runner=PrismRunner", f"--prism_location={program}"]


@pytest.fixture
def flink(repository: Path, tmp_path: Path) -> Iterator[list[str]]:
    """Beam's options for a job server on loopback with a cluster of Flink's inside."""
    jars = repository / ".tools" / "beam" / "flink"
    if not jars.exists():
        pytest.skip("needs Beam's job server for Flink: make flink")
    if shutil.which("java") is None:
        pytest.skip("needs Java 11 or 17")
    jobs, artifacts = free_port(), free_port()
    command = ["java", "-Xmx1g", *(f"--add-opens=java.base/{name}=ALL-UNNAMED" for name in OPENED)]
    command += ["-cp", f"{jars}/*", "org.apache.beam.runners.flink.FlinkJobServerDriver"]
    command += ["--flink-master=[local]", "--job-host=localhost", "--expansion-port=-1"]
    command += [f"--job-port={jobs}", f"--artifact-port={artifacts}"]
    log = tmp_path / "flink.log"
    with (
        log.open("w") as message,
        subprocess.Popen(
            [*command, f"--artifacts-dir={tmp_path / 'artifacts'}"], stdout=message, stderr=message
        ) as server,
    ):
        try:
            wait_for(jobs, server, log)
            yield [
                "--runner=PortableRunner",
                f"--job_endpoint=localhost:{jobs}",
                f"--artifact_endpoint=localhost:{artifacts}",
                "--parallelism=2",
            ]
        finally:
            server.terminate()


@pytest.fixture(params=["flink", "prism"])
def engine(request: pytest.FixtureRequest, workers: str) -> list[str]:
    """Beam's options for one engine and the worker pool."""
    options: list[str] = request.getfixturevalue(request.param)
    return [*options, "--environment_type=EXTERNAL", f"--environment_config={workers}"]


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
    return port


def wait_for(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    """Waits until a server listens; fails with its log when it ends, or after a minute."""
    for _ in range(600):
        assert server.poll() is None, log.read_text()[-2000:]
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError(log.read_text()[-2000:])
