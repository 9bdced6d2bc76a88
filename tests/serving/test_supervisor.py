"""Several server processes behind one pair of ports."""

import base64
import http.client
import json
import os
import re
import signal
import socket
import threading
import time
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from serving.client import connect
from serving.server.config import ServerConfig
from serving.server.errors import ListenError
from serving.server.process import ServerProcess, ServerProcessError, serve_in_subprocess
from serving.server.supervisor import supervise
from tests.serving.conftest import copy_version, wait_until
from tests.serving.models import GREEN, RED

REQUESTS = 'skymill_serving_requests_total{method="Predict",protocol="rest",status="OK"}'

BODY = json.dumps({"instances": [{"b64": base64.b64encode(RED).decode()}]})


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
        # Every process reports the sum over both.
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


class Raw:
    """One kept connection without retries, like a simple client's."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
        self.answered = self.cut = 0
        self.wrong: list[object] = []

    def ask(self) -> None:
        try:
            self._connection.request("POST", "/v1/models/model:predict", BODY)
            response = self._connection.getresponse()
            answer = json.loads(response.read())
            if response.status == 200:
                self.answered += 1
            else:
                self.wrong.append((response.status, answer))
        except (ConnectionResetError, http.client.RemoteDisconnected, BrokenPipeError):
            self.cut += 1
            self._connection.close()
        except OSError as error:
            self.wrong.append(error)
            self._connection.close()


@pytest.mark.slow
def test_killed_processes_take_along_only_what_they_held(colours: Path, base: Path) -> None:
    """Two kills, each once the former is replaced; no request meets a process without a model."""
    copy_version(colours, base, 3)
    stop = threading.Event()
    failures: list[BaseException] = []
    right: list[bool] = []

    def ask_nicely(address: str) -> None:
        with connect(address) as client:
            while not stop.is_set():
                try:
                    right.append(client.predict([RED])[0].class_name == "red")
                    time.sleep(0.02)  # the new process needs some of the cores
                except BaseException as error:
                    failures.append(error)

    def ask_rawly(raw: Raw) -> None:
        while not stop.is_set():
            raw.ask()
            time.sleep(0.05)

    with serve_in_subprocess(base, settings={"processes": 2}) as server:
        raws = [Raw(server.rest) for _ in range(4)]
        threads = [threading.Thread(target=ask_rawly, args=(raw,)) for raw in raws]
        threads += [
            threading.Thread(target=ask_nicely, args=(at,)) for at in (server.grpc, server.rest)
        ]
        for thread in threads:
            thread.start()
        try:
            for _ in range(2):
                os.kill(min(children(server.pid)), signal.SIGKILL)
                wait_until(lambda: listeners(server) == 1)
                wait_until(lambda: listeners(server) == 2, 90)
                time.sleep(0.5)
        finally:
            stop.set()
            for thread in threads:
                thread.join(30)
    assert failures == []
    assert all(right)
    assert [raw.wrong for raw in raws] == [[]] * 4
    # A kill cuts a connection once; the next request goes to a process that answers.
    assert sum(raw.cut for raw in raws) <= 2 * 4
    assert all(raw.answered > 50 for raw in raws)


def listeners(server: ServerProcess) -> int:
    """Processes that listen on the REST port, by Linux's /proc."""
    port = f"{urlsplit(server.rest).port:04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[3] == "0A" and row[1].rpartition(":")[2] == port for row in rows)


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
