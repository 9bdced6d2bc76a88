"""The tutorials: every command on their pages is run, and prints what the page shows."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kubeflow.api_server.server import api_server

#: Half a minute on a quiet machine; this is against a command that never ends.
TIMEOUT_S = 1500
_BLOCK = re.compile(r"^```(sh|python|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_START = """\
set -euo pipefail
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
serving() {
    python - "$1" <<'PYTHON'
import sys, time, grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest
from grpc_health.v1.health_pb2_grpc import HealthStub
with grpc.insecure_channel(f"127.0.0.1:{sys.argv[1]}") as channel:
    while HealthStub(channel).Check(HealthCheckRequest(), wait_for_ready=True).status != 1:
        time.sleep(0.1)
PYTHON
}
"""


def blocks(page: Path) -> list[tuple[str, str]]:
    """The fenced blocks of a page: language and text."""
    return [(found[1], found[2]) for found in _BLOCK.finditer(page.read_text())]


def script(page: Path, port: int) -> str:
    """A page's commands as one script of bash, which waits until a started server has its model."""
    parts = [_START]
    for language, text in blocks(page):
        if language == "python":
            parts.append(f"python - <<'PYTHON'\n{text}PYTHON\n")
        elif language == "sh":
            parts.append(text)
            if text.endswith("&\n"):
                parts.append(f"serving {port}\n")
    return "".join(parts)


def shown(page: Path) -> Iterator[str]:
    """The lines that a page shows as output, less their numbers."""
    for language, text in blocks(page):
        if language == "text":
            yield from (without_numbers(line) for line in text.splitlines())


def without_numbers(line: str) -> str:
    return re.sub(r"\d[\d.,]*", "#", " ".join(line.split()))


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def run(page: Path, folder: Path, repository: Path, kubeflow: str = "") -> None:
    """Runs a page's commands in an empty folder.

    The ports of the page are replaced by free ones, Kubeflow's by that of `kubeflow`.
    """
    grpc, rest = free_port(), free_port()
    text = script(page, grpc).replace("127.0.0.1:8500", f"127.0.0.1:{grpc}")
    text = text.replace("skymill serve", f"skymill serve --grpc-port {grpc} --rest-port {rest}")
    text = text.replace("skymill predict", f"skymill predict --server grpc://127.0.0.1:{grpc}")
    text = text.replace("http://127.0.0.1:8888", kubeflow)
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(repository),
    }
    process = subprocess.Popen(
        ["bash", "-c", text],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=TIMEOUT_S)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0, output
    printed = {without_numbers(line) for line in output.splitlines()}
    assert [line for line in shown(page) if line not in printed] == [], output


@pytest.mark.slow
@pytest.mark.parametrize("names", [["photographs"], ["chips", "maps"]])
def test_tutorials_that_share_a_model(repository: Path, tmp_path: Path, names: list[str]) -> None:
    for name in names:
        run(repository / "docs" / "tutorials" / f"{name}.md", tmp_path, repository)


@pytest.mark.slow
def test_the_tutorial_of_kubeflow(repository: Path, tmp_path: Path) -> None:
    with api_server() as api:
        page = repository / "docs" / "tutorials" / "kubeflow.md"
        run(page, tmp_path, repository, kubeflow=api.url)
        [submitted] = api.store.runs.values()
        assert submitted["runtime_config"]["parameters"] == {"epochs": 8}


def test_every_tutorial_is_run(repository: Path) -> None:
    pages = {path.stem for path in (repository / "docs" / "tutorials").glob("*.md")}
    assert pages == {"photographs", "chips", "maps", "kubeflow"}
    for name in pages:
        assert blocks(repository / "docs" / "tutorials" / f"{name}.md")


def test_a_page_is_held_to_what_it_shows(repository: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```sh\necho 7 lamps\n```\n\n```text\n9   lamps\n```\n")
    run(page, tmp_path, repository)
    page.write_text("```sh\necho 7 lamps\n```\n\n```text\n9 lights\n```\n")
    with pytest.raises(AssertionError, match="# lights"):
        run(page, tmp_path, repository)
    page.write_text("```sh\nfalse\n```\n")
    with pytest.raises(AssertionError):
        run(page, tmp_path, repository)
