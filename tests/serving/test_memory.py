"""Cost of many large and hostile requests at the same time, with limited memory."""

import resource
import threading
import time
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from benchmarks.hostile import LOST, Attack, Target, attacks
from benchmarks.soak import soak
from serving.client import connect
from serving.server.process import serve_in_subprocess
from tests.serving.conftest import copy_version
from tests.serving.models import BLUE, GREEN, RED

MB = 1 << 20
IN_FLIGHT_MB = 512  # the default
TIMES = 3  # a body, its text or message, and its tensors


@pytest.mark.slow
def test_hostile_requests_under_a_memory_limit(colours: Path, base: Path) -> None:
    """The process may use three times the bytes in flight; others are served meanwhile."""
    copy_version(colours, base, 3)
    stop = threading.Event()
    innocent: list[Any] = []
    answers: dict[str, list[str]] = {}

    def ask(address: str) -> None:
        with connect(address, retries=0) as client:
            while not stop.is_set():
                try:
                    innocent.append(client.predict([RED])[0].class_name)
                except Exception as error:
                    innocent.append(error)

    def check(address: str) -> None:
        with grpc.insecure_channel(address.removeprefix("grpc://")) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            while not stop.is_set():
                answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=20)
                innocent.append(answer.status == health_pb2.HealthCheckResponse.SERVING)
                time.sleep(0.1)

    def attack(target: Target, each: Attack) -> None:
        for _ in range(2):
            answers.setdefault(each.name, []).append(each.run(target))

    with serve_in_subprocess(base) as server:
        target = Target(server.grpc, server.rest)
        peaceful = [threading.Thread(target=ask, args=(at,)) for at in (server.grpc, server.rest)]
        peaceful.append(threading.Thread(target=check, args=(server.grpc,)))
        for thread in peaceful:
            thread.start()
        time.sleep(1.0)
        limit = _memory(server.pid, "VmSize") + TIMES * IN_FLIGHT_MB * MB
        resource.prlimit(server.pid, resource.RLIMIT_AS, (limit, limit))
        before = _memory(server.pid, "VmRSS")
        hostile = [
            threading.Thread(target=attack, args=(target, each))
            for each in attacks()
            if "do not end" not in each.name
            for _ in range(2)
        ]
        try:
            for thread in hostile:
                thread.start()
            for thread in hostile:
                thread.join(120)
        finally:
            stop.set()
            for thread in peaceful:
                thread.join(60)
        grown = _memory(server.pid, "VmHWM") - before
    assert set(innocent) == {"red", True}
    assert grown < TIMES * IN_FLIGHT_MB * MB
    for each in attacks():
        assert set(answers.get(each.name, [])) <= each.refusals | LOST, each.name


def _memory(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(name)


@pytest.mark.slow
def test_a_short_soak(colours: Path, tmp_path: Path) -> None:
    outcome = soak(colours, [RED, GREEN, BLUE], tmp_path, seconds=12)
    assert outcome.faults() == []
    assert outcome.requests["grpc"] > 50
    assert outcome.requests["http"] > 50
    assert outcome.kills >= 1
    assert outcome.swaps >= 3
    assert len(outcome.refusals) > 10
