"""`skymill watch` as a user calls it, in processes of its own."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from PIL import Image

from pipelines.cli.watch import command
from pipelines.local.record import list_records
from pipelines.watch.source import PolledSource
from pipelines.watch.state import WatchError
from tests.kubeflow.api_server.server import api_server
from tests.pipelines.conftest import call_light_skymill
from tests.watch.kubernetes_api import TOKEN, kubernetes_api


def configure(folder: Path, **watch: object) -> Path:
    """A configuration of a few small images."""
    draw = np.random.default_rng(0)
    for name in ("river", "wood"):
        (folder / "images" / name).mkdir(parents=True, exist_ok=True)
        for number in range(12):
            pixels = draw.integers(0, 255, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "images" / name / f"{number}.png")
    tree = {
        "name": "land",
        "workspace": "work",
        "ingest": {"source": {"kind": "folders", "uri": "images"}},
        "train": {"epochs": 1},
        "push": {"model_dir": "models"},
        "watch": {"settle_s": 0, **watch},
    }
    path = folder / "skymill.yaml"
    path.write_text(yaml.safe_dump(tree))
    return path


@contextmanager
def following(folder: Path) -> Iterator["subprocess.Popen[str]"]:
    """A running watch that writes JSON lines; ended at the end by its own id."""
    process = subprocess.Popen(
        [sys.executable, "-m", "pipelines.cli", "watch", "--log", "json"],
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def read_until(process: "subprocess.Popen[str]", event: str) -> dict:
    assert process.stderr is not None
    for line in process.stderr:
        result = json.loads(line)
        if result["event"] == event:
            return dict(result)
    raise AssertionError(f"the watch ended without {event!r}")


def status(folder: Path) -> dict:
    done = call_light_skymill("watch", "--status", "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def wait_for(look: Callable[[], bool], seconds: float = 600) -> None:
    until = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.2)


def test_status_makes_nothing_and_says_that_nothing_is_known(tmp_path: Path) -> None:
    done = CliRunner().invoke(command, [str(configure(tmp_path)), "--status"])
    assert "land: nothing has been looked at yet" in done.output
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--again"], "has not settled yet"),
        (["--once", "--status"], "choose one of"),
    ],
)
def test_what_cannot_be_asked_for(tmp_path: Path, flags: list[str], words: str) -> None:
    done = CliRunner().invoke(command, [str(configure(tmp_path)), *flags])
    assert done.exit_code == 2
    assert words in done.output


def test_data_that_were_run_by_hand_can_be_skipped_from_the_start(tmp_path: Path) -> None:
    path = str(configure(tmp_path))
    done = CliRunner().invoke(command, [path, "--skip"])
    assert "land: no new data" in done.output, done.output
    assert CliRunner().invoke(command, [path, "--once"]).exit_code == 0
    assert not (tmp_path / "work" / "runs").exists()
    assert "skipped" in CliRunner().invoke(command, [path, "--status"]).output


def test_what_comes_while_data_are_read_to_be_skipped_is_not_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(configure(tmp_path))
    read = PolledSource.fingerprint

    def uploaded_meanwhile(source: PolledSource) -> str:
        Image.new("RGB", (16, 16)).save(tmp_path / "images" / "wood" / "new.png")
        return read(source)

    monkeypatch.setattr(PolledSource, "fingerprint", uploaded_meanwhile)
    done = CliRunner().invoke(command, [path, "--skip"])
    assert isinstance(done.exception, WatchError)
    assert "the source changed while it was read; try again" in str(done.exception)
    said = CliRunner().invoke(command, [path, "--status"]).output
    assert "nothing has been looked at yet" in said


def test_once_with_a_source_that_is_away_fails(tmp_path: Path) -> None:
    path = configure(tmp_path)
    tree = yaml.safe_load(path.read_text())
    tree["ingest"]["source"]["uri"] = "away"
    path.write_text(yaml.safe_dump(tree))
    done = call_light_skymill("watch", "--once", cwd=tmp_path)
    assert done.returncode == 1
    assert "no folder" in done.stderr


def test_the_secrets_of_an_address_are_not_shown(tmp_path: Path) -> None:
    path = configure(tmp_path)
    tree = yaml.safe_load(path.read_text())
    uri = "http://someone:hidden@127.0.0.1:9/m.csv?signature=covert"
    tree["ingest"]["source"] = {"kind": "manifest", "uri": uri}
    path.write_text(yaml.safe_dump(tree))
    with following(tmp_path) as process:
        assert process.stderr is not None
        result = ""
        while '"event": "failed"' not in result:
            result += process.stderr.readline()
    skip = CliRunner().invoke(command, [str(path), "--skip"])
    assert isinstance(skip.exception, WatchError)
    for text in (result, str(skip.exception)):
        assert "http://***@127.0.0.1:9/m.csv" in text
        assert not {word for word in ("someone", "hidden", "covert") if word in text}


def wait_until_ready(address: str) -> None:
    """The result of a look is reported a moment before the look is over."""
    for _ in range(100):
        try:
            with urllib.request.urlopen(f"{address}/readyz", timeout=10) as answer:
                assert answer.status == 200
                return
        except urllib.error.HTTPError as error:
            if error.code != 503:
                raise
            time.sleep(0.1)
    raise AssertionError("it never was ready")


def test_it_listens_and_an_event_wakes_it_and_sigterm_ends_it(tmp_path: Path) -> None:
    configure(tmp_path, poll_s=3600, settle_s=3600, endpoint={"port": 0})
    with following(tmp_path) as process:
        address = read_until(process, "listening")["address"]
        assert read_until(process, "changed")["files"] == 24
        wait_until_ready(address)
        (tmp_path / "images" / "wood" / "new.png").touch()
        body = json.dumps({"Records": []}).encode()
        request = urllib.request.Request(f"{address}/events", body)
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status == 204
        assert read_until(process, "changed")["files"] == 25
        process.send_signal(signal.SIGTERM)
        read_until(process, "stopped")
        assert process.wait(30) == 0


@pytest.mark.slow
def test_images_become_a_model_and_again_when_there_are_more(tmp_path: Path) -> None:
    configure(tmp_path, poll_s=1, run_poll_s=1)
    runs = str(tmp_path / "work" / "runs")
    with following(tmp_path) as process:
        first = read_until(process, "started")
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    [record] = list_records(runs)
    assert (record.run_id, record.key) == (first["run"], first["key"])
    assert status(tmp_path)["now"] == "a run is under way"
    wait_for(lambda: list_records(runs)[0].outcome != "running")
    assert list_records(runs)[0].outcome == "succeeded", "what ends the watch does not end the run"
    assert (tmp_path / "models" / "land" / "1").is_dir()

    assert call_light_skymill("watch", "--once", cwd=tmp_path).returncode == 0
    assert len(list_records(runs)) == 1
    found = status(tmp_path)
    assert found["now"] == "no new data"
    assert found["done"][0]["fingerprint"] == list_records(runs)[0].fingerprint

    Image.new("RGB", (16, 16)).save(tmp_path / "images" / "wood" / "new.png")
    assert call_light_skymill("watch", "--once", cwd=tmp_path).returncode == 0
    assert len(list_records(runs)) == 2
    done = call_light_skymill("watch", "--again", cwd=tmp_path)
    assert done.returncode == 2
    assert "under way" in done.stderr
    os.kill(list_records(runs)[0].process_id, signal.SIGKILL)
    wait_for(lambda: list_records(runs)[0].outcome == "failed")
    assert call_light_skymill("watch", "--once", cwd=tmp_path).returncode == 0
    assert len(list_records(runs)) == 2, "a run that fails is not repeated by itself"
    assert call_light_skymill("watch", "--again", cwd=tmp_path).returncode == 0
    assert status(tmp_path)["now"] == "new data, a run is due"
    assert call_light_skymill("watch", "--skip", cwd=tmp_path).returncode == 0
    assert status(tmp_path)["now"] == "no new data"


@pytest.mark.slow
def test_on_kubeflow_with_a_configmap_by_the_environment_alone(
    tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two calls of --once, as a CronJob makes them: one sees, the other one starts."""
    package = str(repository / "tests" / "golden" / "kubeflow_package.yaml")
    configure(tmp_path, target="kubeflow", package=package, state={"kind": "configmap"})
    with api_server() as api, kubernetes_api() as cluster:
        cluster.put("kubeflow", "skymill-watch", {})
        context = {"cluster": "c", "user": "u", "namespace": "kubeflow"}
        kubeconfig = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "here",
            "clusters": [{"name": "c", "cluster": {"server": cluster.url}}],
            "users": [{"name": "u", "user": {"token": TOKEN}}],
            "contexts": [{"name": "here", "context": context}],
        }
        (tmp_path / "kubeconfig").write_text(yaml.safe_dump(kubeconfig))
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
        monkeypatch.setenv("SKYMILL_KFP_ENDPOINT", api.url)
        for _ in range(2):
            done = call_light_skymill("watch", "--once", "--log", "json", cwd=tmp_path)
            assert done.returncode == 0, done.stderr
        [run] = api.store.runs.values()
        state = json.loads(cluster.maps["kubeflow", "skymill-watch"]["data"]["land"])
        assert state["active"]["run_id"] == run["run_id"]
        api.broken = 100
        done = call_light_skymill("watch", "--once", "--log", "json", cwd=tmp_path)
        assert done.returncode == 1
        assert "answered 503" in done.stderr
    assert len(api.store.runs) == 1
