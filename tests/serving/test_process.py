"""The server as a child process: start, requests, stop; and its messages when it cannot start."""

import base64
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from serving.client import connect
from serving.server.__main__ import main
from serving.server.process import (
    ServerProcessError,
    serve_in_subprocess,
    serve_model_in_subprocess,
)
from tests.serving.models import GREEN, RED


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_an_exact_folder_is_served_over_both_protocols_and_the_process_ends(
    colours: Path,
) -> None:
    """Like the infra check before a push: the folder is not in a version folder yet."""
    with serve_model_in_subprocess(colours, model_name="landcover") as server:
        assert server.grpc.startswith("grpc://127.0.0.1:")
        answers = []
        for address in (server.grpc, server.rest):
            with connect(address, model="landcover") as client:
                assert client.served_version() == 1
                answers.append(client.predict([RED, GREEN]))
        assert answers[0] == answers[1]
        assert [p.class_name for p in answers[0]] == ["red", "green"]
        assert is_alive(server.pid)
        loaded = Path(f"/proc/{server.pid}/maps").read_text()
        assert "/site-packages/tensorflow/" in loaded
        assert "/site-packages/sklearn/" not in loaded, "Keras 3 brings it"
    assert not is_alive(server.pid)


@pytest.mark.slow
def test_a_broken_model_is_refused_with_its_reason(colours: Path, tmp_path: Path) -> None:
    broken = tmp_path / "12"
    shutil.copytree(colours, broken)
    shutil.rmtree(broken / "variables")
    with (
        pytest.raises(ServerProcessError, match=r"refuses the model\. version 12: .*variables"),
        serve_model_in_subprocess(broken),
    ):
        pytest.fail("it must not be served")


def test_no_model_at_all(tmp_path: Path) -> None:
    with (
        pytest.raises(ServerProcessError, match="holds no SavedModel"),
        serve_model_in_subprocess(tmp_path),
    ):
        pytest.fail("there is nothing to serve")


def test_a_wrong_setting_shows_the_servers_words(tmp_path: Path) -> None:
    with (
        pytest.raises(ServerProcessError, match=r"exit code 2(.|\n)*max_batch_size"),
        serve_in_subprocess(tmp_path, settings={"max_batch_size": 0}),
    ):
        pytest.fail("it must not start")


def test_a_server_that_takes_too_long(tmp_path: Path) -> None:
    with (
        pytest.raises(ServerProcessError, match="took too long to start or to load the model"),
        serve_in_subprocess(tmp_path, timeout_s=0.2),
    ):
        pytest.fail("there is nothing to serve")


@pytest.mark.slow
def test_help_states_each_default_and_none_for_a_required_setting(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "port of gRPC; 0: any free port (default: 8500)" in text
    assert "folder with the numbered version folders --model-name" in text


def test_sigterm_finishes_what_is_under_way(colours: Path, tmp_path: Path) -> None:
    """A request that was sent before the signal is answered after it; the exit code is 0."""
    base = tmp_path / "m"
    base.mkdir()
    shutil.copytree(colours, base / "3")
    ready = tmp_path / "ready.json"
    command = [sys.executable, "-m", "serving.server", "--model-base", str(base)]
    command += ["--grpc-port", "0", "--rest-port", "0", "--ready-file", str(ready)]
    command += ["--label", "stable=3"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            _wait_for(ready, process)
            port = json.loads(ready.read_text())["rest_port"]
            with connect(f"http://127.0.0.1:{port}") as client:
                while client.served_version() != 3:
                    time.sleep(0.05)
                assert client.predict([RED], label="stable")[0].class_name == "red"
            statuses = _ask_and_signal(process, port)
            assert process.wait(30) == 0
            assert statuses == [200] * 4
        finally:
            if process.poll() is None:
                process.kill()


def _wait_for(ready: Path, process: "subprocess.Popen[str]") -> None:
    while not ready.exists():
        assert process.poll() is None
        time.sleep(0.05)


def _ask_and_signal(process: "subprocess.Popen[str]", port: int) -> list[int]:
    """Sends half of the bodies of requests, then a signal, then the rest."""
    body = json.dumps({"instances": [{"b64": base64.b64encode(RED).decode()}]}).encode()
    connections: list[Any] = []
    for _ in range(4):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.putrequest("POST", "/v1/models/model:predict")
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body[:10])
        connections.append(connection)
    time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    later = threading.Timer(0.3, lambda: [c.send(body[10:]) for c in connections])
    later.start()
    statuses = [connection.getresponse().status for connection in connections]
    later.join()
    return statuses


def test_a_library_of_grpc_that_is_not_installed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ngh2", None)
    assert main(["--model-base", str(tmp_path), "--grpc-library", "ngh2"]) == 2
    assert "pip install skymill[http2]" in capsys.readouterr().err
