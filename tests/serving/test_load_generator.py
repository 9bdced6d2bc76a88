"""The benchmark's load generator tells good answers from bad ones in both protocols."""

from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from benchmarks.load import connections, run
from serving.client import connect
from tests.serving.conftest import RunningServer, copy_version, wait_until
from tests.serving.models import GREEN, RED


@pytest.mark.parametrize("kind", ["grpc", "rest"])
def test_answers_and_failures_are_counted(
    serve: Callable[..., RunningServer], base: Path, colours: Path, kind: str
) -> None:
    copy_version(colours, base, 1)
    server = serve(base)
    with connect(server.rest, model="m") as client:
        wait_until(lambda: client.served_version() == 1)
    parts = urlsplit(getattr(server, kind))
    assert parts.hostname
    assert parts.port
    good = run(connections(kind, [RED, GREEN], "m", 4), parts.hostname, parts.port, 0.5)
    assert good.requests > 0
    assert good.failures == 0
    assert 0 < good.p50_ms <= good.p99_ms
    bad = run(connections(kind, [b"no image"], "m", 2), parts.hostname, parts.port, 0.3)
    assert bad.requests == 0
    assert bad.failures > 0
