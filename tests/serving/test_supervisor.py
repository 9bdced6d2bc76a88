"""Several server processes behind one pair of ports."""

import os
import re
import signal
import socket
import time
import urllib.request
from pathlib import Path

import pytest

from serving.client import connect
from serving.server.config import ServerConfig
from serving.server.errors import ListenError
from serving.server.process import ServerProcess, ServerProcessError, serve_in_subprocess
from serving.server.supervisor import supervise
from tests.serving.conftest import copy_version, wait_until
from tests.serving.models import GREEN, RED

REQUESTS = 'skymill_serving_requests_total{method="Predict",protocol="rest",status="OK"}'


def children(pid: int) -> set[int]:
    """The processes below one, from Linux's /proc."""
    return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


def ask(server: ServerProcess, count: int) -> int:
    """Predictions over as many connections, since the kernel shares connections out."""
    right = 0
    for _ in range(count):
        with connect(server.rest) as client:
            right += client.predict([RED])[0].class_name == "red"
    return right


def metric(server: ServerProcess, name: str) -> float:
    with urllib.request.urlopen(f"{server.rest}/monitoring/prometheus/metrics") as response:
        page = response.read().decode()
    found = re.search(rf"^{re.escape(name)} (\S+)$", page, re.MULTILINE)
    return float(found[1]) if found else 0.0


@pytest.mark.slow
def test_processes_share_ports_and_metrics_and_a_dead_one_is_replaced(
    colours: Path, base: Path
) -> None:
    copy_version(colours, base, 3)
    with serve_in_subprocess(base, settings={"processes": 2, "poll_interval_s": 0.1}) as server:
        first = children(server.pid)
        assert len(first) == 2
        wait_until(lambda: metric(server, "skymill_serving_loaded_versions") == 1)
        time.sleep(1.0)  # the version is loaded in one process; let the other have it too
        assert ask(server, 20) == 20
        # Whichever process is asked, it tells the sum over both.
        wait_until(lambda: [metric(server, REQUESTS) for _ in range(8)] == [20.0] * 8)
        assert metric(server, "skymill_serving_model_version") == 3

        os.kill(min(first), signal.SIGKILL)
        wait_until(lambda: len(children(server.pid) - first) == 1)
        wait_until(lambda: _answers(server), timeout_s=60)
        assert metric(server, REQUESTS) >= 20  # what the dead one counted is not lost
        with connect(server.grpc) as client:
            assert [p.class_name for p in client.predict([GREEN, RED])] == ["green", "red"]
        last = children(server.pid)
    assert not any(Path(f"/proc/{pid}").exists() for pid in last)


@pytest.mark.slow
def test_no_process_outlives_a_killed_supervisor(colours: Path, base: Path) -> None:
    copy_version(colours, base, 3)
    with serve_in_subprocess(base, settings={"processes": 2}) as server:
        workers = children(server.pid)
        assert len(workers) == 2
        os.kill(server.pid, signal.SIGKILL)
        wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))


def test_a_taken_port_is_refused_before_any_process_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config = ServerConfig(model_base=tmp_path, processes=2, grpc_port=port, rest_port=0)
        with pytest.raises(ListenError, match=rf"127\.0\.0\.1:{port} for gRPC"):
            supervise(config)


def test_an_address_of_another_machine_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(ServerProcessError, match="Cannot listen on"),
        serve_in_subprocess(tmp_path, settings={"processes": 2, "host": "203.0.113.1"}),
    ):
        pytest.fail("it must not start")


def _answers(server: ServerProcess) -> bool:
    try:
        return ask(server, 10) == 10
    except Exception:
        return False
